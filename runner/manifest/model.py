"""A pipeline as values, independent of the JSON form that it came in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from runner.sources.model import Source


class What(StrEnum):
    """The two kinds of program that a pipeline runs; also the directory of a libdir that holds them."""

    STAGE = "stage"
    ASSEMBLER = "assembler"


@dataclass(frozen=True)
class Stage:
    """One program with its options.

    id is osbuild's (DESIGN section 4): it names the tree after this stage, or an assembler's output.
    """

    what: What
    name: str
    options: Mapping[str, Any]
    id: str


@dataclass(frozen=True)
class Pipeline:
    """Stages in their order and the assembler that takes their tree.

    base is the id of a tree in the store that the first stage starts from. build is the pipeline whose tree the
    stages run in (None: the host's /usr), and runner the name that osbuild gives to such a tree's kind.
    """

    name: str
    stages: tuple[Stage, ...]
    assembler: Stage | None = None
    base: str | None = None
    build: "Pipeline | None" = None
    runner: str | None = None

    @property
    def tree_id(self) -> str | None:
        """The id of the finished tree: the last stage's, or the base's when there are no stages."""
        return self.stages[-1].id if self.stages else self.base

    @property
    def output_id(self) -> str | None:
        """The id of what the assembler makes."""
        return self.assembler.id if self.assembler else None

    def steps(self) -> Iterator[Stage]:
        """The stages, then the assembler."""
        yield from self.stages
        if self.assembler:
            yield self.assembler


@dataclass(frozen=True)
class Manifest:
    """A whole document: the pipeline, and the files that its stages may name, by checksum."""

    pipeline: Pipeline
    sources: Mapping[str, Source]

    def pipelines(self) -> Iterator[Pipeline]:
        """Every pipeline, the innermost build pipeline first, so each comes before those that need it."""
        chain = [self.pipeline]
        while chain[-1].build:
            chain.append(chain[-1].build)
        yield from reversed(chain)
