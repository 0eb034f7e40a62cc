"""The runner's events: one JSON object a line; docs/reference/events.md describes them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Act(StrEnum):
    """What the plan says about a step."""

    RUN = "run"
    CACHED = "cached"
    SKIP = "skip"


class State(StrEnum):
    """How a step ended."""

    DONE = "done"
    FAILED = "failed"
    CACHED = "cached"


@dataclass(frozen=True)
class Action:
    """What is planned for one step, and why."""

    kind: Act
    name: str
    id: str
    pipeline: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All that will be done, in order."""

    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Start:
    """A step begins."""

    id: str
    name: str


@dataclass(frozen=True)
class Log:
    """A step said something."""

    id: str
    name: str
    line: str


@dataclass(frozen=True)
class Progress:
    """How far a step is, counted in `unit`; size is how many bytes have come, where these are not counted."""

    id: str
    name: str
    done: int
    total: int
    unit: str
    size: int | None = None


@dataclass(frozen=True)
class End:
    """A step ended. size is what it added to the tree, in bytes; output its last lines when it failed."""

    id: str
    name: str
    state: State
    seconds: float
    size: int | None
    output: tuple[str, ...]
    returncode: int | None


@dataclass(frozen=True)
class Note:
    """Something worth knowing, once."""

    message: str


@dataclass(frozen=True)
class Failure:
    """Why a pipeline, or all of it, ended early. kind is input, environment, build or interrupted.

    manifest is the file that the pipeline was kept in, if a stage failed.
    """

    kind: str
    message: str
    details: tuple[str, ...]
    hint: str
    stage: str
    manifest: str


@dataclass(frozen=True)
class Made:
    """How one pipeline ended. files are what is now in the output directory."""

    success: bool
    tree_id: str | None
    output_id: str | None
    files: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """How it all ended. pipelines are in the order in which they were given; the rest is of the last, or of all."""

    success: bool
    tree_id: str | None
    output_id: str | None
    files: tuple[str, ...]
    seconds: float
    pipelines: tuple[Made, ...] = ()


Event = Plan | Start | Log | Progress | End | Note | Failure | Result


def parse(line: str) -> Event | None:
    """The event in a line; None for one that this version does not know, or that is no event at all."""
    try:
        data = json.loads(line)
        return _READERS[data["event"]](data)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _plan(data: dict[str, Any]) -> Plan:
    return Plan(tuple(_action(item) for item in data["actions"]))


def _action(item: dict[str, Any]) -> Action:
    return Action(Act(item["kind"]), item["name"], item["id"], item.get("pipeline") or "", item.get("reason") or "")


def _end(data: dict[str, Any]) -> End:
    return End(
        id=data["id"],
        name=data["name"],
        state=State(data["state"]),
        seconds=float(data.get("seconds") or 0),
        size=data.get("size"),
        output=tuple(data.get("output") or ()),
        returncode=data.get("returncode"),
    )


def _failure(data: dict[str, Any]) -> Failure:
    texts = {name: data.get(name) or "" for name in ("hint", "stage", "manifest")}
    return Failure(kind=data["kind"], message=data["message"], details=tuple(data.get("details") or ()), **texts)


def _result(data: dict[str, Any]) -> Result:
    return Result(
        success=bool(data["success"]),
        tree_id=data.get("tree_id"),
        output_id=data.get("output_id"),
        files=tuple(data.get("files") or ()),
        seconds=float(data.get("seconds") or 0),
        pipelines=tuple(_made(item) for item in data.get("pipelines") or ()),
    )


def _made(item: dict[str, Any]) -> Made:
    return Made(bool(item["success"]), item.get("tree_id"), item.get("output_id"), tuple(item.get("files") or ()))


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "plan": _plan,
    "start": lambda data: Start(data["id"], data["name"]),
    "log": lambda data: Log(data["id"], data["name"], str(data["line"])),
    "progress": lambda data: Progress(
        data["id"], data["name"], int(data["done"]), int(data["total"]), data.get("unit") or "", data.get("size")
    ),
    "end": _end,
    "note": lambda data: Note(data["message"]),
    "error": _failure,
    "result": _result,
}
