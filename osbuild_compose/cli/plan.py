"""`compose plan`: what a build would run and why, in the words and with the lines of the blueprints."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osbuild_compose import variants
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.cli.error_output import warn
from osbuild_compose.cli.paths import relative
from osbuild_compose.compile import faults, provenance
from osbuild_compose.document.node import Trail, path_text
from osbuild_compose.document.reader import Document
from osbuild_compose.images import Image, names
from osbuild_compose.project import Project
from osbuild_compose.report.events import Action, ActionKind, Change, Plan
from osbuild_compose.report.steps import duration, plan_text
from osbuild_compose.report.style import Style
from osbuild_compose.report.terminal import printable, write_json
from osbuild_compose.runner_client import RunnerSettings

EMBEDDED = ("documents", "blueprint")  # where in the provenance stage's options the blueprint is
UNCHANGED = "unchanged"  # the runner's reason for what is in the store
WIDEST = 64  # columns of titles
NAMES = 6  # of a list, that are shown


@dataclass(frozen=True)
class BlueprintChange:
    """A value of a blueprint that differs from that of an earlier build: where, and what, for people."""

    trail: Trail
    text: str


def plan(
    projects: Sequence[Project], paths: Sequence[Path], formats: Sequence[Format], runner: RunnerSettings, as_json: bool
) -> None:
    """Print what the runner would do: as a table for each blueprint, or as the runner's own JSON."""
    project, images = projects[0], variants.images(projects, paths, formats, on_warning=warn)
    if as_json:
        write_json(project.plan_document(images, runner).decode(), sys.stdout)
        return
    found = project.plan(images, runner)
    for line in lines(project, images, found, Style.for_stream(sys.stdout)):
        print(line)


def lines(project: Project, images: Sequence[Image], found: Plan, style: Style) -> Iterator[str]:
    """The text: for each image a heading and its steps, and at the end what it comes to."""
    width = min(WIDEST, max((len(one.title) for one in found.actions if one.kind is not ActionKind.SKIP), default=0))
    for number, (name, image) in enumerate(zip(names(images), images, strict=True)):
        actions = [action for action in found.actions if action.target == number]
        changes = blueprint_changes(actions, image.blueprint.document)
        is_new = not found.built_before[number]
        yield f"{style.bold(printable(name))}: {_heading(actions, changes, is_new)}"
        reads = {} if is_new or not changes else reads_of(project, image)
        for action in actions:
            if action.kind is not ActionKind.SKIP:
                reason = "" if is_new and action.kind is ActionKind.RUN else reason_of(action, changes, reads)
                yield f"  {action.kind:6}  {action.title:{width}}  {_seconds(action):>10}  {reason}".rstrip()
        if chosen := image.kernel.packages:
            why = f"  ({image.kernel.reason})" if image.kernel.reason else ""
            yield printable(f"  kernel  {' '.join(chosen)}{why}")
        yield ""
    yield plan_text(found.actions)


def _heading(actions: Sequence[Action], changes: Sequence[BlueprintChange], is_new: bool) -> str:
    if all(action.kind is not ActionKind.RUN for action in actions):
        return "nothing has to run"
    if is_new:
        return "never built with this store"
    return "; ".join(change.text for change in changes) or "the blueprint is that of an earlier build"


def _seconds(action: Action) -> str:
    if action.kind is not ActionKind.RUN:
        return ""
    return duration(action.seconds) if action.seconds is not None else "?"


def reason_of(action: Action, changes: Sequence[BlueprintChange], reads: dict[str, tuple[Trail, ...]]) -> str:
    """Why a step runs: the changed values that it is made from, or else what the runner says."""
    if action.kind is not ActionKind.RUN:
        return "" if action.reason == UNCHANGED else action.reason
    if not action.changes:
        return action.reason
    if action.name == provenance.STAGE:
        return "the image contains its blueprint"
    read = reads.get(action.id, ())
    related = [change.text for change in changes if any(_related(change.trail, trail) for trail in read)]
    return "; ".join(related) or action.reason


def _related(one: Trail, other: Trail) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def reads_of(project: Project, image: Image) -> dict[str, tuple[Trail, ...]]:
    """The values of the blueprint that each step is made from, by the step's id."""
    document: dict[str, Any] = json.loads(image.pipeline)
    origins = project.origins(image.blueprint, image.formats).programs()
    found = {}
    for step in faults.step_ids(document):
        trail = faults.step_trail(document, step)
        if trail in origins:
            found[step] = origins[trail].reads
    return found


def blueprint_changes(actions: Sequence[Action], document: Document | None) -> list[BlueprintChange]:
    """What differs in the blueprint since an earlier build, which its image contains."""
    own = next((action for action in actions if action.name == provenance.STAGE), None)
    if own is None or document is None:
        return []
    return [_in_words(change, document) for change in own.changes if change.path[: len(EMBEDDED)] == EMBEDDED]


def _in_words(change: Change, document: Document) -> BlueprintChange:
    trail: Trail = change.path[len(EMBEDDED) :]
    name = path_text(trail)
    if change.is_gone:
        return BlueprintChange(trail, f"{name} is gone")
    items = [
        *(f"+ {item}{_line(document, _item(document, trail, item))}" for item in change.added),
        *(f"- {item}" for item in change.removed),
        *(f"{item} changed{_line(document, _item(document, trail, item))}" for item in change.changed),
    ]
    if items:
        more = [f"{len(items) - NAMES} more"] if len(items) > NAMES else []
        return BlueprintChange(trail, f"{name}: {', '.join([*items[:NAMES], *more])}")
    what = "is new" if change.is_new else "has another order" if change.reordered else "changed"
    return BlueprintChange(trail, f"{name} {what}{_line(document, trail)}")


def _item(document: Document, trail: Trail, name: str) -> Trail:
    """The item of a list that has that name, or is that; the list itself if there is none."""
    node, is_there = document.find(trail)
    if is_there and isinstance(node.value, list):
        for number, item in enumerate(node.value):
            inside = item.value
            known = [one.value for one in inside.values()] if isinstance(inside, dict) else [inside]
            if name in map(str, known):
                return (*trail, number)
    return trail


def _line(document: Document, trail: Trail) -> str:
    """The place of a value, in brackets; empty if it comes from no file."""
    place = document.at_key(trail)
    return f" ({relative(place.file)}:{place.line})" if place.line else ""
