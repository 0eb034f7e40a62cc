"""From a manifest to lines of steps with cache keys: everything that planning needs, read once."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from runner import secrets
from runner.errors import RunnerError
from runner.libdir import Library
from runner.manifest.identity import Ingredients
from runner.manifest.model import Manifest, Pipeline, Stage
from runner.plan import Line, Step
from runner.sandbox.bwrap import environment
from runner.sources.model import named_in

# Used where nobody says otherwise: a fixed time, since two builds of the same input must give the same bytes.
DEFAULT_EPOCH = 1735689600  # 2025-01-01 00:00 UTC


def source_date_epoch(environ: Mapping[str, str] = os.environ) -> int:
    """Seconds since 1970 that stand for "now" in a build: SOURCE_DATE_EPOCH of the environment, or a constant."""
    value = environ.get("SOURCE_DATE_EPOCH", "")
    return int(value) if value.isdigit() else DEFAULT_EPOCH


def host_description(os_release: Path = Path("/usr/lib/os-release")) -> str:
    """What stands for the host's /usr in a cache key: the distribution and its version."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        lines = []
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return "host " + " ".join(fields.get(name, "").strip('"') for name in ("ID", "VERSION_ID"))


def lay_out(
    manifest: Manifest,
    library: Library,
    bases: Mapping[str, tuple[str, ...]],
    epoch: int,
    passphrases: Mapping[str, str] = MappingProxyType({}),
) -> list[Line]:
    """The manifest's pipelines as lines, build pipelines first.

    bases maps the ids of base trees to their layers' keys, passphrases names to what they stand for. Raises RunnerError
    (input) for an unknown program.
    """

    def make(stage: Stage, path: str, pipeline: str, build: str, parent: str | None) -> Step:
        try:
            program = library.find(stage.what, stage.name)
        except RunnerError as error:
            error.message = f"{path}: {error.message}"
            raise
        ingredients = Ingredients(
            kind=stage.what.value,
            name=stage.name,
            options=stage.options,
            program=program.digest,
            build=build,
            parent=parent,
            sources={
                checksum: manifest.sources[checksum].digest for checksum in named_in(stage.options, manifest.sources)
            },
            architecture=platform.machine(),
            source_date_epoch=epoch,
            network=program.network,
            environment=environment(epoch),
            secrets={
                name: secrets.stretched(name, passphrases[name])
                for name in sorted(secrets.named_in(stage.options, passphrases))
            },
        )
        in_host = build == host
        return Step(pipeline, stage, program, ingredients, ingredients.key(), in_host, path)

    lines: list[Line] = []
    build = host = host_description()
    pipelines = list(manifest.pipelines())
    for number, pipeline in enumerate(pipelines):
        above = "build." * (len(pipelines) - 1 - number)
        main = pipeline is manifest.pipeline
        name = _name(pipeline, main=main, number=number)
        base = bases.get(pipeline.base, ()) if pipeline.base else ()
        parent = base[-1] if base else None
        steps: list[Step] = []
        for position, stage in enumerate(pipeline.stages):
            step = make(stage, f"{above}stages[{position}]", name, build, parent)
            steps.append(step)
            parent = step.key
        # A build pipeline's own assembler is not run: only its tree is used, as in osbuild 10.
        last = pipeline.assembler if main else None
        assembler = make(last, "assembler", name, build, parent) if last else None
        lines.append(Line(pipeline, name, base, tuple(steps), assembler))
        build = f"tree {parent}"
    return lines


def _name(pipeline: Pipeline, *, main: bool, number: int) -> str:
    return pipeline.name or ("tree" if main else f"build {number}")
