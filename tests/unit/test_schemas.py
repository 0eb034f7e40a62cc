"""What holds for the patterns in all schemas: of stages, assemblers, blueprints and distributions."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import REPO

SCHEMAS = sorted(file for room in ("stages", "assemblers", "schemas") for file in (REPO / room).glob("*.json"))
END = r"$(?!\n)"  # "$" alone passes a line break at the end, in Python; JSON Schema's ECMA 262 reads both alike
# authorized_keys(5) has several lines; a symlink's target and a container's arguments may have any bytes but NUL.
MAY_END_WITH_A_LINE_BREAK = {
    ("org.osbuild.users.meta.json", "key"),
    ("org.osbuild-compose.files.meta.json", "target"),
    ("org.osbuild-compose.image.meta.json", "texts"),
}


def patterns(part: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The key that each pattern is for, and the pattern; what is in a `not` is left out."""
    if isinstance(part, list):
        for item in part:
            yield from patterns(item, name)
    if not isinstance(part, dict):
        return
    if isinstance(part.get("pattern"), str):
        yield name, part["pattern"]
    for pattern in part.get("patternProperties", {}):
        yield name, pattern
    for key, value in part.items():
        if key in ("properties", "definitions", "patternProperties"):
            for one, schema in value.items():
                yield from patterns(schema, one)
        elif key != "not":
            yield from patterns(value, name)


FOUND = sorted(
    {(file.name, name, pattern) for file in SCHEMAS for name, pattern in patterns(json.loads(file.read_text()))}
)
ANCHORED = sorted(
    {pattern for file, name, pattern in FOUND if (file, name) not in MAY_END_WITH_A_LINE_BREAK and "^" in pattern}
)


def test_patterns_are_found_everywhere() -> None:
    assert len({file for file, _, _ in FOUND}) > 25
    assert len(ANCHORED) > 100
    assert {(file, name) for file, name, _ in FOUND} >= MAY_END_WITH_A_LINE_BREAK


def test_patterns_are_anchored_at_both_ends_in_one_form() -> None:
    """All but those that look for a mark inside of a longer text, such as a key in ASCII armour."""
    loose = {pattern for _, _, pattern in FOUND if not re.fullmatch(r"\^.*\$\(\?!\\n\)", pattern, re.DOTALL)}
    assert {pattern for pattern in loose if not re.fullmatch(r"-----BEGIN [^^$]+-----", pattern)} == set()


@pytest.mark.parametrize("pattern", ANCHORED)
def test_a_line_break_at_the_end_does_not_pass(pattern: str) -> None:
    @settings(max_examples=3, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.from_regex(pattern))
    def refused(value: str) -> None:
        assert re.search(pattern, value)
        assert not re.search(pattern, f"{value}\n")

    refused()
