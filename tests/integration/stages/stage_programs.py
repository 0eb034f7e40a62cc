"""What the tests of stages share beside their fixtures."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

STAGES = Path(__file__).parents[3] / "stages"


@dataclass(frozen=True)
class Result:
    """How a stage ended: its exit status and its log."""

    status: int
    log: str


RunStage = Callable[[str, dict[str, Any]], Result]


def schema(name: str) -> dict[str, Any]:
    """The schema of the stage's options."""
    found: dict[str, Any] = json.loads((STAGES / f"{name}.meta.json").read_text())["schema"]
    return found


def accepts(name: str, options: dict[str, Any]) -> bool:
    """Whether the runner would let these options through."""
    return jsonschema.Draft7Validator(schema(name)).is_valid(options)


def write(tree: Path, path: str, text: str = "") -> Path:
    """Put a file into the tree; returns its host path."""
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def lead_outside(tree: Path, path: str, outside: Path) -> Path:
    """Have a symlink at the tree's `path` to the new directory `outside`, by its absolute path; returns that.

    In the tree that is another place, which has what was at `path`.
    """
    outside.mkdir()
    link, inside = tree / path, tree / outside.relative_to("/")
    inside.parent.mkdir(parents=True)
    if link.exists():
        shutil.move(link, inside)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    return outside
