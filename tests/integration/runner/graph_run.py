"""Builds a graph of pipelines that format 1 cannot express; run by the tests as `python graph_run.py ARGUMENTS`.

ARGUMENTS is JSON: `pipelines` maps names to objects of `stages` (name, options, inputs), `assembler`, `build`
and `base`; `targets`, `settings` (jobs, overlay). Prints the events as JSON lines.
"""

import json
import sys
from pathlib import Path
from typing import Any

from runner.build import RunSettings
from runner.cancellation import Cancellation
from runner.errors import RunnerError
from runner.events import Monitor
from runner.manifest.identity import osbuild_id
from runner.manifest.model import BaseTree, Manifest, ModuleCall, ModuleKind, Pipeline
from runner.session import Session


def call(kind: ModuleKind, about: dict[str, Any], parent: str | None) -> ModuleCall:
    inputs = about.get("inputs", {})
    options = about.get("options", {})
    return ModuleCall(kind, about["name"], options, osbuild_id(about["name"], None, parent, options | inputs), inputs)


def main() -> None:
    """Build the manifest in the arguments."""
    asked = json.loads(sys.argv[1])
    made: dict[str, Pipeline] = {}
    for name, about in asked["pipelines"].items():
        base = BaseTree(made[about["base"]].tree_id or "", about["base"]) if "base" in about else None
        parent = base.id if base else None
        stages: list[ModuleCall] = []
        for stage in about.get("stages", []):
            stages.append(call(ModuleKind.STAGE, stage, parent))
            parent = stages[-1].id
        assembler = call(ModuleKind.ASSEMBLER, about["assembler"], parent) if "assembler" in about else None
        made[name] = Pipeline(name, tuple(stages), assembler, base, about.get("build"), label=name)
    settings = {key: Path(value) if key in ("store", "scratch") else value for key, value in asked["settings"].items()}
    settings["libdirs"] = tuple(map(Path, settings["libdirs"]))
    emit = Monitor(1)
    try:
        Session(emit, Cancellation()).build([Manifest(made, tuple(asked["targets"]))], RunSettings(**settings))
    except RunnerError as error:
        emit("error", **error.fields())


if __name__ == "__main__":
    main()
