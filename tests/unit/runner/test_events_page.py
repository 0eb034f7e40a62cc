"""docs/reference/events.md names every event and every field, and nothing that does not exist."""

import ast
import re
from collections import defaultdict
from dataclasses import fields

import pytest

from runner.build import Build, StepResult
from runner.cancellation import Cancellation
from runner.errors import RunnerError
from runner.events import Broadcast
from runner.manifest import v1
from runner.plan import plan
from runner.session import Session
from runner.steps import StoreState
from tests.conftest import REPO
from tests.unit.runner.test_plan import document, pipelines_of

PAGE = (REPO / "docs/reference/events.md").read_text()
EVENTS, _, DOCUMENT = PAGE.partition("\n# The result document\n")
# What the code passes on as **fields, and the keys that it then has; a note may be a step's.
SPREAD = {
    "progress": {"done", "total", "unit", "what"},
    "note": {"id", "name"},
    "error": {field.name for field in fields(RunnerError)},
}


def emitted() -> dict[str, set[str]]:
    """The events that the runner's code emits, with their fields."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (REPO / "runner").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("emit", "_emit"):
                event = str(node.args[0].value)
                found[event] |= {word.arg for word in node.keywords if word.arg}
                found[event] |= SPREAD.get(event, set())
    found["result"] |= set(Session(Broadcast([]), Cancellation()).result(0.0, success=True))
    return found


def sections() -> dict[str, str]:
    """The page's text about each event."""
    parts = re.split(r"^## `(\w+)`$", EVENTS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def listed(text: str) -> set[str]:
    """The fields that the items of a list begin with."""
    heads = [line.partition(":")[0] for line in text.splitlines() if line.startswith("* ")]
    return {name for head in heads for name in re.findall(r"`(\w+)`", head)}


def test_the_page_has_the_events_that_are_emitted() -> None:
    assert set(sections()) == set(emitted())


@pytest.mark.parametrize("event", sorted(emitted()))
def test_the_page_has_the_fields_of(event: str) -> None:
    assert listed(sections()[event]) == emitted()[event]


def test_the_page_has_the_fields_of_actions_pipelines_and_stages() -> None:
    pipelines = pipelines_of(document(1))
    action = plan(pipelines, StoreState())[0]
    inside = {
        sections()["plan"]: action.fields(0),
        sections()["result"]: Build(0, v1.load(document(1)), pipelines, []).fields(),
        DOCUMENT: StepResult(action.step, action.kind, True).fields(),
    }
    for text, names in inside.items():
        assert [name for name in names if f"`{name}`" not in text] == []
