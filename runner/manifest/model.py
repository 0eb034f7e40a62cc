"""The model of a manifest: named pipelines that refer to each other, independent of the document format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from runner.errors import input_error
from runner.manifest.sources import Source


class ModuleKind(StrEnum):
    """The two kinds of module that a pipeline calls."""

    STAGE = "stage"
    ASSEMBLER = "assembler"


@dataclass(frozen=True)
class ModuleCall:
    """A stage or an assembler of a pipeline, with its options.

    id is osbuild's: it names the tree after a stage, or the output of an assembler. inputs maps the
    names of inputs to the pipelines whose finished trees the module reads. path is where the document has the call.
    """

    kind: ModuleKind
    name: str
    options: Mapping[str, Any]
    id: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    path: str = field(default="", compare=False)


@dataclass(frozen=True)
class BaseTree:
    """The tree that a pipeline starts from: its osbuild id, and the pipeline that makes it (None: the store has it)."""

    id: str
    pipeline: str | None = None


@dataclass(frozen=True)
class Pipeline:
    """Stages in order, and perhaps an assembler that makes an output of their tree.

    name is unique in the manifest, and references use it; label is the name that the document gives, or empty. build is
    the name of the pipeline whose tree the modules run in (None: the host's /usr), and runner osbuild's name for the
    kind of that tree.
    """

    name: str
    stages: tuple[ModuleCall, ...]
    assembler: ModuleCall | None = None
    base: BaseTree | None = None
    build: str | None = None
    runner: str | None = None
    label: str = ""

    @property
    def tree_id(self) -> str | None:
        """The id of the finished tree: the last stage's, or the base's when there are no stages."""
        if self.stages:
            return self.stages[-1].id
        return self.base.id if self.base else None

    @property
    def output_id(self) -> str | None:
        """The id of what the assembler makes."""
        return self.assembler.id if self.assembler else None

    def references(self, *, assembler: bool) -> Iterator[str]:
        """The names of the pipelines that this one refers to; `assembler`: those of its assembler's inputs as well."""
        if self.base and self.base.pipeline is not None:
            yield self.base.pipeline
        if self.build is not None:
            yield self.build
        calls = (*self.stages, self.assembler) if assembler and self.assembler else self.stages
        for call in calls:
            yield from call.inputs.values()


@dataclass(frozen=True)
class Manifest:
    """A whole document: its pipelines by name, the files that modules may name by checksum, and the targets.

    targets are the names of the pipelines to build; the others are built as far as these need them. version is that of
    the document's format.
    """

    pipelines: Mapping[str, Pipeline]
    targets: tuple[str, ...]
    sources: Mapping[str, Source] = field(default_factory=dict)
    version: str = "1"

    @property
    def target(self) -> Pipeline:
        """The last of the targets."""
        return self.pipelines[self.targets[-1]]

    def needed(self) -> list[Pipeline]:
        """The targets and everything that they refer to, directly or not, each after those that it refers to.

        The order depends on nothing but the manifest. Raises RunnerError (input) for a reference to a pipeline that
        does not exist, and for a circle of references.
        """
        found: dict[str, list[str]] = {}
        todo = list(self.targets)
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = self._references(name)
                todo += found[name]
        graph = TopologicalSorter({name: found[name] for name in self.pipelines if name in found})
        try:
            return [self.pipelines[name] for name in graph.static_order()]
        except CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise input_error(f"pipelines need each other in a circle: {circle}") from None

    def _references(self, name: str) -> list[str]:
        references = list(dict.fromkeys(self.pipelines[name].references(assembler=name in self.targets)))
        for reference in references:
            if reference not in self.pipelines:
                raise input_error(f"pipeline {name}: there is no pipeline {reference!r}, which it refers to")
        return references
