"""Resolves a manifest to steps with programs, sources and cache keys, which planning works on."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from runner import passphrases
from runner.errors import RunnerError, input_error
from runner.manifest.identity import Ingredients
from runner.manifest.model import Manifest, ModuleCall, Pipeline
from runner.manifest.sources import named_in
from runner.programs import ProgramCatalog
from runner.sandbox.bwrap import environment
from runner.steps import PlannedPipeline, Step

# The time in builds unless SOURCE_DATE_EPOCH is set: fixed, since two builds of one input must give the same bytes.
DEFAULT_EPOCH = 1735689600  # 2025-01-01 00:00 UTC
LAST_EPOCH = 2**32 - 1  # in 2106: what the file systems and archives can hold


def source_date_epoch(environ: Mapping[str, str] = os.environ) -> int:
    """Seconds since 1970 that count as "now" in a build: SOURCE_DATE_EPOCH of the environment, or a constant.

    Raises RunnerError (input) for what is no such time.
    """
    value = environ.get("SOURCE_DATE_EPOCH") or str(DEFAULT_EPOCH)
    if not re.fullmatch(r"[0-9]{1,10}", value) or int(value) > LAST_EPOCH:
        raise input_error(
            f"SOURCE_DATE_EPOCH={value[:40]}: expected a number of seconds since 1970, at most {LAST_EPOCH}",
            hint="date -d 2025-01-01 +%s prints such a number",
        )
    return int(value)


def host_description(os_release: Path = Path("/usr/lib/os-release")) -> str:
    """The host's /usr as a cache key has it: the distribution and its version."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        lines = []
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return "host " + " ".join(fields.get(name, "").strip('"') for name in ("ID", "VERSION_ID"))


def base_layers(manifest: Manifest, trees: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The layers of each tree of the store that a pipeline starts from. Raises RunnerError (input) if one is gone."""
    found: dict[str, tuple[str, ...]] = {}
    for pipeline in manifest.needed():
        base = pipeline.base
        if base is None or base.pipeline is not None:
            continue
        if base.id not in trees:
            raise input_error(
                f"base: tree {base.id} is not in the store",
                hint="build the pipeline that makes it first, with the same --store",
            )
        found[base.id] = trees[base.id]
    return found


def resolve(
    manifest: Manifest,
    catalog: ProgramCatalog,
    bases: Mapping[str, tuple[str, ...]],
    epoch: int,
    known_passphrases: Mapping[str, str] = MappingProxyType({}),
) -> list[PlannedPipeline]:
    """The pipelines that the manifest's targets need, with their cache keys, each after those that it refers to.

    bases maps the ids of base trees in the store to their layers' keys, epoch is in seconds since 1970, and
    known_passphrases maps names to passphrases. Raises RunnerError (input) for an unknown program, a reference to a
    pipeline that does not exist, and references in a circle.
    """
    resolver = _Resolver(manifest, catalog, bases, epoch, known_passphrases)
    for pipeline in manifest.needed():
        resolver.add(pipeline)
    return list(resolver.planned.values())


@dataclass
class _Resolver:
    manifest: Manifest
    catalog: ProgramCatalog
    bases: Mapping[str, tuple[str, ...]]
    epoch: int
    passphrases: Mapping[str, str]
    planned: dict[str, PlannedPipeline] = field(default_factory=dict)
    host: str = field(default_factory=host_description)

    def add(self, pipeline: Pipeline) -> None:
        """Resolve one pipeline; those that it refers to were added before."""
        base = self._base(pipeline)
        parent = base[-1] if base else None
        stages: list[Step] = []
        for call in pipeline.stages:
            stages.append(self._step(call, pipeline, parent))
            parent = stages[-1].key
        # Of a pipeline that is not a target only the tree is used, so its assembler is not run, as in osbuild 10.
        target = pipeline.name in self.manifest.targets
        assembler = self._step(pipeline.assembler, pipeline, parent) if pipeline.assembler and target else None
        self.planned[pipeline.name] = PlannedPipeline(pipeline, base, tuple(stages), assembler, target)

    def _base(self, pipeline: Pipeline) -> tuple[str, ...]:
        if pipeline.base is None:
            return ()
        if pipeline.base.pipeline is not None:
            return self.planned[pipeline.base.pipeline].stack
        return self.bases.get(pipeline.base.id, ())

    def _step(self, call: ModuleCall, pipeline: Pipeline, parent: str | None) -> Step:
        try:
            program = self.catalog.find(call.kind, call.name)
        except RunnerError as error:
            error.message = f"{call.path}: {error.message}"
            raise
        sources = self.manifest.sources
        ingredients = Ingredients(
            kind=call.kind.value,
            name=call.name,
            options=call.options,
            program=program.digest,
            build=self.host if pipeline.build is None else self._tree_key(pipeline.build),
            parent=parent,
            sources={checksum: sources[checksum].digest for checksum in named_in(call.options, sources)},
            architecture=os.uname().machine,
            source_date_epoch=self.epoch,
            network=program.network,
            environment=environment(self.epoch),
            secrets={
                name: passphrases.stretched(name, self.passphrases[name])
                for name in sorted(passphrases.named_in(call.options, self.passphrases))
            },
            inputs={name: self._tree_key(source) for name, source in call.inputs.items()},
        )
        return Step(pipeline.name, call, program, ingredients, ingredients.key(), in_host=pipeline.build is None)

    def _tree_key(self, name: str) -> str:
        """The finished tree of a pipeline as the keys of steps that use it have it."""
        stack = self.planned[name].stack
        return f"tree {stack[-1] if stack else None}"
