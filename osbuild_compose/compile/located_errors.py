"""Errors about a blueprint that are found after it was loaded, located at one of its keys."""

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.document.node import Trail
from osbuild_compose.errors import InputError
from osbuild_compose.problem import Problem


def at_value(blueprint: Blueprint, trail: Trail, brief: str, hint: str = "", expected: str = "") -> InputError:
    """The error, located at the value at the end of the trail."""
    return Problem(trail, brief, hint, expected=expected).located(blueprint.document).error()


def at_key(blueprint: Blueprint, trail: Trail, brief: str, hint: str = "") -> InputError:
    """The error, located at the key at the end of the trail."""
    return Problem(trail, brief, hint, at_key=True).located(blueprint.document).error()
