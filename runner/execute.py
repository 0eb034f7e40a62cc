"""Runs the steps of a plan: the only part that changes the system."""

import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.archiver import Archiver
from runner.build import StepResult
from runner.cancellation import Cancellation
from runner.errors import ErrorKind, RunnerError
from runner.events import Listener
from runner.failure import describe_exit, stage_failure
from runner.manifest.model import ModuleKind
from runner.manifest.sources import Source
from runner.sandbox import bwrap, process
from runner.sandbox.buildroot import BuildRoot, prepare
from runner.sandbox.limits import Limits
from runner.sandbox.reachable import Reachable
from runner.sandbox.readable import ReadableDirectories
from runner.sources.fetch import Fetcher
from runner.steps import Action, ActionKind, PlannedPipeline, Step
from runner.store import directories, downloads, locks
from runner.store.scratch import Scratch
from runner.store.store import Store
from runner.tree import Trees

TAKE_OVER_WHEN_INTERRUPTED = 0.5  # seconds for what a step has downloaded
TAIL = 20  # lines of a failed step's log that are shown again at the end


@dataclass(frozen=True)
class RunContext:
    """What all pipelines of a run share.

    scratch is where modules have their own /var and other temporary files. debug_shell asks for a shell on the terminal
    in the sandbox of a step that failed. making has the keys of the steps that are running, and failed those that
    failed and why: what fails for one pipeline is not tried again for another. passphrases are those that steps may
    name. cancellation ends what runs, from another thread. namespace is a descriptor of the sandboxes' user namespace,
    readable has the directories of programs for them, reachable the paths of what they see, and limits are those of
    each step.
    """

    store: Store
    scratch: Scratch
    trees: Trees
    fetcher: Fetcher
    emit: Listener
    cancellation: Cancellation
    namespace: int
    readable: ReadableDirectories
    reachable: Reachable
    limits: Limits
    debug_shell: bool = False
    making: set[str] = field(default_factory=set)
    failed: dict[str, RunnerError] = field(default_factory=dict)
    passphrases: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def places(self) -> tuple[Path, Path]:
        """The directories in which steps use space."""
        return self.scratch.root, self.store.root


class Executor:
    """Carries out the actions about one manifest's pipelines, which may run in several threads."""

    def __init__(
        self, context: RunContext, sources: Mapping[str, Source], pipelines: Sequence[PlannedPipeline], number: int
    ) -> None:
        """sources are the manifest's, by checksum; pipelines are those that its targets need; number is its own."""
        self._context = context
        self._store = context.store
        self._trees = context.trees
        self._emit = context.emit
        self._sources = sources
        self._number = number
        self._pipelines = {pipeline.name: pipeline for pipeline in pipelines}
        self.archiver = Archiver()
        self.results: list[StepResult] = []

    def run(self, pipeline: PlannedPipeline, actions: Sequence[Action]) -> None:
        """Carry out the actions about one pipeline; those that it refers to were run before.

        Results from before an error are in the store, or queued in the archiver. Raises RunnerError for
        what fails, CorruptLayerError for a layer that has to be made again; then this may be called again.
        """
        with contextlib.ExitStack() as held:
            root = self._build_root(held, pipeline) if any(action.pending for action in actions) else None
            stack = list(pipeline.base)
            for action in actions:
                step = action.step
                if action.pending and root:
                    inputs = (self._pipelines[source].stack for source in step.call.inputs.values())
                    for key in (*stack, *itertools.chain(*inputs)):
                        self._trees.ensure(key)
                    self._run_step(step, tuple(stack), root)
                elif action.kind is ActionKind.CACHED:
                    self._cached(step)
                if step.call.kind is ModuleKind.STAGE:
                    stack.append(step.key)

    def _build_root(self, held: contextlib.ExitStack, pipeline: PlannedPipeline) -> BuildRoot:
        """The build root of a pipeline, prepared for as long as `held` lasts."""
        root = Path("/")
        if pipeline.pipeline.build is not None:
            root = held.enter_context(self._trees.reading(self._pipelines[pipeline.pipeline.build].stack))
        return prepare(root, held.enter_context(self._context.scratch.temporary()))

    def _cached(self, step: Step) -> None:
        if any(result.step == step for result in self.results):
            return  # reported already, before a damaged layer was found
        self._emit("end", id=step.call.id, name=step.call.name, target=self._number, state="cached", seconds=0.0)
        self.results.append(StepResult(step, ActionKind.CACHED, True))

    def _run_step(self, step: Step, stack: tuple[str, ...], root: BuildRoot) -> None:
        self._context.cancellation.check()
        with contextlib.ExitStack() as held:
            self._lock(held, step)
            if self._made_meanwhile(step):
                self._cached(step)
                return
            if error := self._context.failed.get(step.key):
                raise error
            self._emit("start", id=step.call.id, name=step.call.name, title=step.title, target=self._number)
            try:
                if step.call.kind is ModuleKind.STAGE:
                    self._run_stage(held, step, stack, root)
                else:
                    self._run_assembler(step, stack, root)
            except RunnerError as error:
                self._context.failed[step.key] = error
                raise

    def _lock(self, held: contextlib.ExitStack, step: Step) -> None:
        """Wait for the lock on this step's key, which the process that makes it holds."""
        making = self._context.making
        lock = self._store.open_lock(step.key)
        held.callback(os.close, lock)
        what = f"another build of {step.call.name}"
        say = locks.silent if step.key in making else self._store.say
        locks.acquire(lock, what, say, patience=0, pause=self._context.cancellation.wait)
        held.callback(making.discard, step.key)
        making.add(step.key)

    def _made_meanwhile(self, step: Step) -> bool:
        """Whether another pipeline or process made the step's result between the plan and now."""
        if step.call.kind is ModuleKind.ASSEMBLER:
            return self._store.output_is_intact(step.key)
        return self._store.layer(step.key) is not None

    def _run_stage(self, held: contextlib.ExitStack, step: Step, stack: tuple[str, ...], root: BuildRoot) -> None:
        started = time.monotonic()
        epoch = step.ingredients.source_date_epoch
        with self._trees.writing(stack, step.key, epoch) as work, self._view(step, work.tree) as view:
            self._execute(step, root, view, {"tree": bwrap.TREE})
        seconds = time.monotonic() - started
        change = work.change
        assert change
        size = change.contents.size
        self._emit(
            "end", id=step.call.id, name=step.call.name, target=self._number, state="done", seconds=seconds, size=size
        )
        lock = held.pop_all()

        def archive() -> None:
            with lock:
                self._store.add_layer(step, change.directory, change.contents, seconds)

        if self._trees.background:
            self.archiver.submit(archive)
        else:
            archive()

    def _run_assembler(self, step: Step, stack: tuple[str, ...], root: BuildRoot) -> None:
        made = self._store.temporary()
        try:
            output = made / "output"
            output.mkdir()
            os.chown(output, 0, 0)
            started = time.monotonic()
            with self._trees.reading(stack) as tree, self._view(step, tree, output) as view:
                self._execute(step, root, view, {"tree": bwrap.TREE, "output_dir": bwrap.OUTPUT})
            self._add_output(step, output, time.monotonic() - started)
            seconds = time.monotonic() - started
            self._emit("end", id=step.call.id, name=step.call.name, target=self._number, state="done", seconds=seconds)
        finally:
            directories.remove_tree(made)

    def _add_output(self, step: Step, output: Path, seconds: float) -> None:
        """Keep an assembler's output. Raises RunnerError (build) for one with anything but files and directories."""
        doing = {"done": 0, "total": 0, "unit": "", "what": "compute the digests of the output"}
        self._emit("progress", id=step.call.id, name=step.call.name, **doing)
        try:
            self._store.add_output(step, output)
        except RunnerError as error:
            self.results[:] = [replace(one, success=False) if one.step == step else one for one in self.results]
            about = {"why": "made an output that is refused", "output": [error.message], "returncode": 0}
            self._emit(
                "end",
                id=step.call.id,
                name=step.call.name,
                target=self._number,
                state="failed",
                seconds=seconds,
                **about,
            )
            raise

    @contextlib.contextmanager
    def _view(self, step: Step, tree: Path, output: Path | None = None) -> Iterator[bwrap.View]:
        """What the step's program sees, with a /var of its own."""
        with (
            self._context.scratch.temporary() as var,
            self._source_files(step) as sources,
            self._input_trees(step) as inputs,
        ):
            for name, mode in (("", 0o755), ("tmp", 0o1777), ("lib", 0o755), ("cache", 0o755)):
                (var / name).mkdir(exist_ok=True)
                (var / name).chmod(mode)
                os.chown(var / name, 0, 0)
            with self._new_downloads(step) as new:
                shared = downloads.shared(self._store.downloads) if new else {}
                yield bwrap.View(tree, var, output, shared, new, sources, inputs)

    @contextlib.contextmanager
    def _new_downloads(self, step: Step) -> Iterator[Path | None]:
        """A directory for what a step with network downloads, which is taken over also when the step fails."""
        if not step.program.network:
            yield None
            return
        made = self._store.temporary()
        os.chown(made, 0, 0)
        limit: float | None = TAKE_OVER_WHEN_INTERRUPTED
        try:
            try:
                yield made
                limit = None
            except RunnerError as error:
                limit = None if error.kind is ErrorKind.BUILD else limit
                raise
            finally:
                downloads.take_over_downloads(made, self._store.downloads, limit)
        finally:
            directories.remove_tree(made)

    @contextlib.contextmanager
    def _input_trees(self, step: Step) -> Iterator[Mapping[str, Path]]:
        """The trees of other pipelines that the step reads, by the names of its inputs."""
        with contextlib.ExitStack() as trees:
            yield {
                name: trees.enter_context(self._trees.reading(self._pipelines[source].stack))
                for name, source in step.call.inputs.items()
            }

    @contextlib.contextmanager
    def _source_files(self, step: Step) -> Iterator[Path | None]:
        """A directory with the source files that the step's options name, below their sources' names; None without."""
        if not step.ingredients.sources:
            yield None
            return
        self._context.fetcher.wait()
        directory = self._store.temporary()
        directory.chmod(0o755)  # sandboxes do not have the caller's id
        try:
            for checksum in step.ingredients.sources:
                source = self._sources[checksum]
                (directory / source.name).mkdir(exist_ok=True)
                self._context.fetcher.link(source, directory / source.name / checksum)
            yield directory
        finally:
            directories.remove_tree(directory)

    def _execute(self, step: Step, root: BuildRoot, view: bwrap.View, arguments: Mapping[str, Any]) -> None:
        """Run the step's program in its sandbox. Raises RunnerError when it fails, with the end of its log."""
        call = step.call
        readable = self._context.readable.get
        path = readable(step.program.path.parent) / step.program.path.name
        program = replace(step.program, path=path, stagelib=readable(step.program.stagelib))

        def argv(fds: bwrap.Descriptors) -> list[str]:
            words = bwrap.command(program, root, view, env=step.ingredients.environment, fds=fds)
            return self._context.reachable.in_arguments(words)

        def shell(fds: bwrap.Descriptors) -> list[str]:
            return [*bwrap.without_program(argv(fds)), "/bin/sh", "-i"]

        full = {**arguments, "options": dict(call.options)}
        if view.sources is not None:
            full["sources"] = bwrap.SOURCES
        if view.inputs:
            full["inputs"] = {name: {"path": f"{bwrap.INPUTS}/{name}"} for name in view.inputs}
        if step.ingredients.secrets:
            full["secrets"] = {name: self._context.passphrases[name] for name in step.ingredients.secrets}
        started = time.monotonic()
        ended = process.run(
            process.Sandbox(argv, self._context.namespace),
            full,
            lambda line: self._emit("log", id=call.id, name=call.name, line=line),
            lambda event, fields: self._emit(event, id=call.id, name=call.name, **fields),
            cancellation=self._context.cancellation,
            bounds=process.Bounds(self._context.limits, self._context.places, self._store.log_path(step.key)),
        )
        seconds = time.monotonic() - started
        success = ended.returncode == 0 and not ended.usage.reason
        self.results.append(
            StepResult(step, ActionKind.RUN, success, seconds, ended.output, ended.returncode, ended.log)
        )
        if success:
            return
        tail = ended.output.splitlines()[-TAIL:]
        why = ended.usage.reason or describe_exit(ended.returncode)
        self._emit(
            "end",
            id=call.id,
            name=call.name,
            target=self._number,
            state="failed",
            seconds=seconds,
            output=tail,
            returncode=ended.returncode,
            why=why,
        )
        if self._context.debug_shell:
            self._emit("note", message=f"a shell in the sandbox of {call.name}; the tree is at {bwrap.TREE}")
            with self._context.cancellation.shell():
                process.shell(process.Sandbox(shell, self._context.namespace), full)
        raise stage_failure(step, why, tail, ended)
