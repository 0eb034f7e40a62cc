"""The published schema describes every key, and its examples are valid."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator

from osbuild_compose.document.schema import schema_files


def nodes(node: Any, trail: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All schemas of values in a schema."""
    if isinstance(node, dict):
        if isinstance(node.get("type"), str | list) or isinstance(node.get("enum"), list):
            yield trail, node
        for key, value in node.items():
            if key not in ("examples", "default", "required", "if", "then", "oneOf"):
                yield from nodes(value, f"{trail}/{key}")


@pytest.mark.parametrize("name", ["blueprint", "distro"])
def test_schema_is_closed_and_described_everywhere(name: str) -> None:
    document = schema_files.load(name)
    Draft7Validator.check_schema(document)
    for trail, node in nodes(document):
        if node.get("type") == "object":
            assert "additionalProperties" in node, trail
        if re.search(r"/properties/[^/]+$", trail):
            assert node.get("description"), trail


def test_examples_fit_their_own_schema() -> None:
    document = schema_files.load("blueprint")
    for trail, node in nodes(document):
        for example in node.get("examples", []):
            Draft7Validator(document).evolve(schema=node).validate(example)
        if "/properties/" in trail and node.get("type") != "object":
            assert node.get("examples") or "enum" in node or node["items"].get("$ref"), trail
