"""The runner's events: one JSON object a line; docs/reference/events.md describes them."""

import json
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
    """How far a step is, counted in `unit`."""

    id: str
    name: str
    done: int
    total: int
    unit: str


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
    """Why it all ended early. kind is input, environment, build or interrupted."""

    kind: str
    message: str
    details: tuple[str, ...]
    hint: str
    stage: str
    command: str


@dataclass(frozen=True)
class Result:
    """How it all ended. files are what is now in the output directory."""

    success: bool
    tree_id: str | None
    output_id: str | None
    files: tuple[str, ...]
    seconds: float


Event = Plan | Start | Log | Progress | End | Note | Failure | Result


def parse(line: str) -> Event | None:
    """The event in a line; None for one that this version does not know, or that is no event at all."""
    try:
        data = json.loads(line)
        return _event(data)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _event(data: dict[str, Any]) -> Event | None:
    match data["event"]:
        case "plan":
            return Plan(
                tuple(
                    Action(
                        Act(item["kind"]),
                        item["name"],
                        item["id"],
                        item.get("pipeline") or "",
                        item.get("reason") or "",
                    )
                    for item in data["actions"]
                )
            )
        case "start":
            return Start(data["id"], data["name"])
        case "log":
            return Log(data["id"], data["name"], data["line"])
        case "progress":
            return Progress(data["id"], data["name"], int(data["done"]), int(data["total"]), data.get("unit") or "")
        case "end":
            return End(
                data["id"],
                data["name"],
                State(data["state"]),
                float(data.get("seconds") or 0),
                data.get("size"),
                tuple(data.get("output") or ()),
                data.get("returncode"),
            )
        case "note":
            return Note(data["message"])
        case "error":
            return Failure(
                data["kind"],
                data["message"],
                tuple(data.get("details") or ()),
                data.get("hint") or "",
                data.get("stage") or "",
                data.get("command") or "",
            )
        case "result":
            return Result(
                bool(data["success"]),
                data.get("tree_id"),
                data.get("output_id"),
                tuple(data.get("files") or ()),
                float(data.get("seconds") or 0),
            )
    return None
