"""Errors that are told at a place of the blueprint, though nothing is wrong with it as such."""

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.document import doc_links
from osbuild_compose.document.node import Trail, path_text
from osbuild_compose.errors import InputError


def at_value(blueprint: Blueprint, trail: Trail, brief: str, hint: str = "", expected: str = "") -> InputError:
    """The error with the place of the value at the end of the trail."""
    location = blueprint.document.at_value(trail) if blueprint.document else None
    reference = doc_links.of_key(trail)
    return InputError(
        brief, hint=hint, location=location, path=path_text(trail), expected=expected, reference=reference
    )


def at_key(blueprint: Blueprint, trail: Trail, brief: str, hint: str = "") -> InputError:
    """The error with the place of the key at the end of the trail."""
    location = blueprint.document.at_key(trail) if blueprint.document else None
    return InputError(brief, hint=hint, location=location, path=path_text(trail), reference=doc_links.of_key(trail))
