"""The runner's events, one JSON object on a line: docs/reference/events.md."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, TypeVar


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
class Change:
    """What differs between the options of a step and those that it had in an earlier build.

    path leads to the option; is_new or is_gone if it has come or gone. Of a list, added, removed and changed are the
    names of its items.
    """

    path: tuple[str, ...]
    is_new: bool = False
    is_gone: bool = False
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reordered: bool = False


@dataclass(frozen=True)
class Action:
    """What is planned for one step, and the reason. title is its name for people.

    target is the number of the pipeline that it is for, in the order in which they were given; seconds is how long it
    is expected to run, None if that is unknown or it does not run.
    """

    kind: ActionKind
    name: str
    id: str
    pipeline: str
    reason: str
    title: str = ""
    target: int = 0
    changes: tuple[Change, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """All planned actions, in order. jobs is how many pipelines run at a time.

    built_before, of a plan that is only shown: whether each of the pipelines was built before, under its name.
    """

    actions: tuple[Action, ...]
    jobs: int = 1
    built_before: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Start:
    """A step begins, for the pipeline with the number `target`; None: for all of them."""

    id: str
    name: str
    title: str = ""
    target: int | None = None


@dataclass(frozen=True)
class Log:
    """A line of a step's output."""

    id: str
    name: str
    line: str


@dataclass(frozen=True)
class Progress:
    """Progress of a step, counted in `unit`; size is the number of bytes so far if `unit` is something else.

    what is what the step does; empty: the same as before. total is 0 where only that is known.
    """

    id: str
    name: str
    done: int
    total: int
    unit: str
    size: int | None = None
    what: str = ""


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
    target: int | None = None


@dataclass(frozen=True)
class Note:
    """A message about the build as a whole, or what the step with that id says."""

    message: str
    id: str = ""


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
class Output:
    """A file that an assembler made. size is in bytes, None if it is gone; sha256 None if that would take too long."""

    path: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class StepSummary:
    """How a step ended; duration is in seconds, 0 if it came from the store."""

    what: str
    id: str
    name: str
    title: str
    success: bool
    cached: bool
    duration: float


_T = TypeVar("_T", Output, StepSummary)


@dataclass(frozen=True)
class PipelineResult:
    """The result of one pipeline. files are its files in the output directory, outputs those made by an assembler.

    seconds is how long the steps took together that ran for it.
    """

    success: bool
    tree_id: str | None
    output_id: str | None
    files: tuple[str, ...]
    outputs: tuple[Output, ...] = ()
    steps: tuple[StepSummary, ...] = ()
    seconds: float = 0.0


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
    return Plan(
        tuple(_action(item) for item in data["actions"]),
        int(data.get("jobs") or 1),
        tuple(bool(item["built_before"]) for item in data.get("pipelines") or ()),
    )


def _action(item: dict[str, Any]) -> Action:
    return Action(
        kind=ActionKind(item["kind"]),
        name=item["name"],
        id=item["id"],
        pipeline=item.get("pipeline") or "",
        reason=item.get("reason") or "",
        title=item.get("title") or "",
        target=int(item.get("target") or 0),
        changes=tuple(_change(one) for one in item.get("changes") or ()),
        seconds=item.get("seconds"),
    )


def _change(item: dict[str, Any]) -> Change:
    def names(key: str) -> tuple[str, ...]:
        return tuple(item.get(key) or ())

    def flag(key: str) -> bool:
        return bool(item.get(key))

    lists = names("path"), flag("is_new"), flag("is_gone"), names("added"), names("removed"), names("changed")
    return Change(*lists, flag("reordered"))


def _end(data: dict[str, Any]) -> End:
    return End(
        id=data["id"],
        name=data["name"],
        state=State(data["state"]),
        seconds=float(data.get("seconds") or 0),
        size=data.get("size"),
        output=tuple(data.get("output") or ()),
        returncode=data.get("returncode"),
        target=data.get("target"),
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
        success=bool(item["success"]),
        tree_id=item.get("tree_id"),
        output_id=item.get("output_id"),
        files=tuple(item.get("files") or ()),
        outputs=tuple(_known(Output, one) for one in item.get("outputs") or ()),
        steps=tuple(_known(StepSummary, one) for one in item.get("steps") or ()),
        seconds=float(item.get("seconds") or 0),
    )


def _known(kind: type[_T], item: dict[str, Any]) -> _T:
    """The item without keys of later versions."""
    return kind(**{field.name: item[field.name] for field in fields(kind)})


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "plan": plan_of,
    "start": lambda data: Start(data["id"], data["name"], data.get("title") or "", data.get("target")),
    "log": lambda data: Log(data["id"], data["name"], str(data["line"])),
    "progress": lambda data: Progress(
        id=data["id"],
        name=data["name"],
        done=int(data["done"]),
        total=int(data["total"]),
        unit=data.get("unit") or "",
        size=data.get("size"),
        what=data.get("what") or "",
    ),
    "end": _end,
    "note": lambda data: Note(data["message"], data.get("id") or ""),
    "error": _failure,
    "result": _result,
}
