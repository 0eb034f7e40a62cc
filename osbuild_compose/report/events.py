"""The runner's events, one JSON object on a line: docs/reference/events.md."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ActionKind(StrEnum):
    """What a build does with a step."""

    RUN = "run"
    CACHED = "cached"
    SKIP = "skip"


class State(StrEnum):
    """The state in which a step ended."""

    DONE = "done"
    FAILED = "failed"
    CACHED = "cached"


@dataclass(frozen=True)
class Action:
    """What is planned for one step, and the reason."""

    kind: ActionKind
    name: str
    id: str
    pipeline: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All planned actions, in order."""

    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Start:
    """A step begins."""

    id: str
    name: str


@dataclass(frozen=True)
class Log:
    """A line of a step's output."""

    id: str
    name: str
    line: str


@dataclass(frozen=True)
class Progress:
    """Progress of a step, counted in `unit`; size is the number of bytes so far if `unit` is something else."""

    id: str
    name: str
    done: int
    total: int
    unit: str
    size: int | None = None


@dataclass(frozen=True)
class End:
    """A step ended. size is what it added to the tree, in bytes; output is its last lines if it failed."""

    id: str
    name: str
    state: State
    seconds: float
    size: int | None
    output: tuple[str, ...]
    returncode: int | None


@dataclass(frozen=True)
class Note:
    """A message about the build as a whole."""

    message: str


@dataclass(frozen=True)
class Failure:
    """Why a pipeline, or the whole build, failed. kind is input, environment, build or interrupted.

    manifest is a file with the pipeline, if a stage failed.
    """

    kind: str
    message: str
    details: tuple[str, ...]
    hint: str
    stage: str
    manifest: str


@dataclass(frozen=True)
class PipelineResult:
    """The result of one pipeline. files are its files in the output directory."""

    success: bool
    tree_id: str | None
    output_id: str | None
    files: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """The result of the build. pipelines has that of each, in the order given; the ids are those of the last one."""

    success: bool
    tree_id: str | None
    output_id: str | None
    files: tuple[str, ...]
    seconds: float
    pipelines: tuple[PipelineResult, ...] = ()


Event = Plan | Start | Log | Progress | End | Note | Failure | Result


def parse(line: str) -> Event | None:
    """The event on a line; None for an unknown one, or for a line that is no event."""
    try:
        data = json.loads(line)
        return _READERS[data["event"]](data)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def plan_of(data: dict[str, Any]) -> Plan:
    """The plan in the JSON that the runner prints. Raises KeyError or ValueError for anything else."""
    return Plan(tuple(_action(item) for item in data["actions"]))


def _action(item: dict[str, Any]) -> Action:
    return Action(
        ActionKind(item["kind"]), item["name"], item["id"], item.get("pipeline") or "", item.get("reason") or ""
    )


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


def _made(item: dict[str, Any]) -> PipelineResult:
    return PipelineResult(
        bool(item["success"]), item.get("tree_id"), item.get("output_id"), tuple(item.get("files") or ())
    )


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "plan": plan_of,
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
