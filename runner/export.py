"""Exports results to the output directory: the files that assemblers made, and trees."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from runner.build import Build, RunSettings
from runner.errors import build_error, input_error
from runner.store import directories
from runner.store.layer import CorruptLayerError
from runner.store.store import Store
from runner.tree import Trees


class OutputDirectory:
    """The directory that outputs are exported to; two files of one name are refused."""

    def __init__(self, path: Path) -> None:
        """path is made when it is missing."""
        self._path = path
        self._exported: dict[str, str] = {}  # names of files, and the keys of the outputs that they are from

    def add(self, build: Build, store: Store) -> None:
        """Export the outputs of a build's targets. Raises RunnerError (build)."""
        for key in [target.assembler.key for target in build.targets if target.assembler]:
            for name in store.output_names(key):
                if self._exported.setdefault(name, key) != key:
                    raise build_error(
                        f"two of the pipelines make {name}", hint="give them different names, or build them apart"
                    )
            build.files += store.export(key, self._path)


def export_trees(builds: Sequence[Build], settings: RunSettings, store: Store, trees: Trees, *, user: bool) -> None:
    """Copy the trees that --export names, each to a directory named after its id.

    user: the run is an ordinary user's, who cannot own a tree's files. Raises RunnerError.
    """
    for wanted in settings.exports:
        found = _find(builds, wanted)
        if found is None or settings.output_directory is None:
            continue
        if user:
            raise input_error(
                "--export: an ordinary user cannot own a tree's files",
                hint="the assembler org.osbuild.tar makes an archive of a tree",
            )
        build, stack = found
        if build.error is None:
            build.files.append(_copy_out(store, trees, stack, settings.output_directory / wanted))


def _find(builds: Sequence[Build], wanted: str) -> tuple[Build, tuple[str, ...]] | None:
    """The first build with a stage of this id, and the layers of the tree after it; None where it is an output's id."""
    for build in builds:
        for pipeline in build.pipelines:
            for number, step in enumerate(pipeline.stages, 1):
                if step.call.id == wanted:
                    return build, pipeline.stack[: len(pipeline.base) + number]
    return None


def _copy_out(store: Store, trees: Trees, stack: tuple[str, ...], target: Path) -> Path:
    try:
        with trees.reading(stack) as tree:
            return _copy_tree(tree, target)
    except CorruptLayerError as damaged:
        store.drop_layer(damaged.key)
        raise build_error(
            f"a layer of the tree {target.name} was damaged; it was removed from the store",
            hint="the same command makes it again",
        ) from None


def _copy_tree(tree: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        directories.remove_tree(target)
    argv = ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", str(tree), str(target)]
    done = subprocess.run(argv, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise build_error(f"the tree could not be copied to {target}", details=done.stderr.splitlines()[-5:])
    return target
