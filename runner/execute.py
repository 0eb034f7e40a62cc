"""Doing what the plan says: the only part that touches the system."""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.archiver import Archiver
from runner.errors import RunnerError, environment_error
from runner.events import Listener
from runner.manifest.model import What
from runner.plan import Act, Action, Line, Step
from runner.result import Result, how_it_ended, stage_failure
from runner.sandbox import bwrap, process
from runner.sandbox.buildroot import BuildRoot, prepare
from runner.sources.fetch import Fetcher
from runner.sources.model import Source
from runner.stop import Stop
from runner.store import devices, files
from runner.store.layer import walk
from runner.store.scratch import Scratch
from runner.store.store import Store
from runner.tree import Trees

POLL = 0.05  # seconds between looks at a lock that another process holds; waiting for it could not be interrupted
MAX_DEVICES = 5  # that are named in an error
TAIL = 20  # lines of a failed stage's log that are shown again at the end


@dataclass(frozen=True)
class Rooms:
    """Where and with what all pipelines of a run are built.

    scratch is where the programs' own /var and other passing things go. debug_shell asks for a shell on the terminal
    in the sandbox of a step that failed. making has the keys of the steps that are at work, and failed those that
    failed and why: what fails for one pipeline is not tried again for another. passphrases are those that steps may
    name.
    """

    store: Store
    scratch: Scratch
    trees: Trees
    fetcher: Fetcher
    debug_shell: bool = False
    making: set[str] = field(default_factory=set)
    failed: dict[str, RunnerError] = field(default_factory=dict)
    passphrases: Mapping[str, str] = field(default_factory=dict, repr=False)


class Executor:
    """Carries out the actions of a plan against one store."""

    def __init__(self, rooms: Rooms, sources: Mapping[str, Source], tell: Listener, stop: Stop) -> None:
        """sources are the manifest's, by checksum; stop ends what runs, from another thread."""
        self._store = rooms.store
        self._scratch = rooms.scratch
        self._trees = rooms.trees
        self._fetcher = rooms.fetcher
        self._rooms = rooms
        self._sources = sources
        self._tell = tell
        self._stop = stop
        self._archiver = Archiver()
        self.results: list[Result] = []

    def run(self, lines: Sequence[Line], actions: Sequence[Action]) -> None:
        """Carry out the actions. What succeeded before an error is in the store.

        Raises RunnerError for what fails, CorruptLayerError for a layer that has to be made again. May be called
        again then, with actions that do so.
        """
        by_id = {action.step.stage.id: action for action in actions}
        try:
            with contextlib.ExitStack() as stack:
                root = self._prepare_root(stack, Path("/"))
                for line in lines:
                    if all(by_id[step.stage.id].act is Act.SKIP for step in line.steps):
                        continue
                    self._run_line(line, by_id, root)
                    if line is not lines[-1]:
                        tree = stack.enter_context(self._trees.reading(line.stack))
                        root = self._prepare_root(stack, tree)
        finally:
            self._archiver.finish()
        self._archiver.check()

    def _prepare_root(self, stack: contextlib.ExitStack, root: Path) -> BuildRoot:
        return prepare(root, stack.enter_context(self._scratch.workplace()))

    def _run_line(self, line: Line, by_id: Mapping[str, Action], root: BuildRoot) -> None:
        stack = list(line.base)
        for step in line.steps:
            action = by_id[step.stage.id]
            if action.open:
                for key in stack:
                    self._trees.provide(key)
                self._run_step(step, tuple(stack), root)
            elif action.act is Act.CACHED:
                self._cached(step)
            if step.stage.what is What.STAGE:
                stack.append(step.key)

    def _cached(self, step: Step) -> None:
        if any(result.step == step for result in self.results):
            return  # told already, before a damaged layer was found
        self._tell("end", id=step.stage.id, name=step.stage.name, state="cached", seconds=0.0)
        self.results.append(Result(step, Act.CACHED, True))

    def _run_step(self, step: Step, stack: tuple[str, ...], root: BuildRoot) -> None:
        with contextlib.ExitStack() as held:
            self._wait_for(held, step)
            if self._made_meanwhile(step):
                self._cached(step)
                return
            if error := self._rooms.failed.get(step.key):
                raise error
            self._tell("start", id=step.stage.id, name=step.stage.name)
            try:
                if step.stage.what is What.STAGE:
                    self._run_stage(held, step, stack, root)
                else:
                    self._run_assembler(step, stack, root)
            except RunnerError as error:
                self._rooms.failed[step.key] = error
                raise

    def _wait_for(self, held: contextlib.ExitStack, step: Step) -> None:
        """Become the only process that makes this step's key."""
        lock = self._store.try_building(step.key)
        if lock is None:
            if step.key not in self._rooms.making:
                self._tell("note", message=f"waiting for another build of {step.stage.name}")
            while lock is None:
                self._stop.wait(POLL)
                lock = self._store.try_building(step.key)
        held.callback(os.close, lock)
        held.callback(self._rooms.making.discard, step.key)
        self._rooms.making.add(step.key)

    def _made_meanwhile(self, step: Step) -> bool:
        """Whether another process made it between the plan and now."""
        if step.stage.what is What.ASSEMBLER:
            return self._store.output_is_whole(step.key)
        return self._store.layer(step.key) is not None

    def _run_stage(self, held: contextlib.ExitStack, step: Step, stack: tuple[str, ...], root: BuildRoot) -> None:
        started = time.monotonic()
        epoch = step.ingredients.source_date_epoch
        with self._trees.writing(stack, step.key, epoch) as writing, self._view(step, writing.tree) as view:
            self._execute(step, root, view, {"tree": bwrap.TREE})
        seconds = time.monotonic() - started
        change = writing.change
        assert change
        size = change.contents.size
        self._tell("end", id=step.stage.id, name=step.stage.name, state="done", seconds=seconds, size=size)
        lock = held.pop_all()

        def archive() -> None:
            with lock:
                self._store.add_layer(step, change.directory, change.contents, seconds)

        if self._trees.background:
            self._archiver.submit(archive)
        else:
            archive()

    def _run_assembler(self, step: Step, stack: tuple[str, ...], root: BuildRoot) -> None:
        made = self._store.scratch()
        try:
            output = made / "output"
            output.mkdir()
            started = time.monotonic()
            with self._trees.reading(stack) as tree, self._view(step, tree, output) as view:
                self._refuse_stand_ins(stack, tree)
                self._execute(step, root, view, {"tree": bwrap.TREE, "output_dir": bwrap.OUTPUT})
            self._store.add_output(step, output)
            seconds = time.monotonic() - started
            self._tell("end", id=step.stage.id, name=step.stage.name, state="done", seconds=seconds)
        finally:
            files.remove_tree(made)

    def _refuse_stand_ins(self, stack: Sequence[str], tree: Path) -> None:
        """Raise RunnerError (environment) if an image of this tree would have files in place of device nodes."""
        infos = map(self._store.layer, stack)
        if devices.can_be_made(self._store.tmp) or not any(info and info.devices for info in infos):
            return
        found = devices.find(tree, (path for path, _ in walk(tree)), stand_ins=True)
        if found:
            names = ", ".join(os.fsdecode(device.path) for device in found[:MAX_DEVICES])
            raise environment_error(
                f"the tree has device nodes that only root can put into an image: {names}",
                hint="build as root, or remove them in a stage; /dev is filled anew whenever a system starts",
            )

    @contextlib.contextmanager
    def _view(self, step: Step, tree: Path, output: Path | None = None) -> Iterator[bwrap.View]:
        """What the step's program sees, with a /var of its own."""
        with self._scratch.workplace() as var, self._source_files(step) as sources:
            for name, mode in (("", 0o755), ("tmp", 0o1777), ("lib", 0o755), ("cache", 0o755)):
                (var / name).mkdir(exist_ok=True)
                (var / name).chmod(mode)
            yield bwrap.View(tree, var, output, self._store.downloads if step.program.network else None, sources)

    @contextlib.contextmanager
    def _source_files(self, step: Step) -> Iterator[Path | None]:
        """A directory with the source files that the step's options name, below their sources' names; None without."""
        if not step.ingredients.sources:
            yield None
            return
        self._fetcher.wait()
        directory = self._store.scratch()
        try:
            for checksum in step.ingredients.sources:
                source = self._sources[checksum]
                (directory / source.name).mkdir(exist_ok=True)
                self._fetcher.put(source, directory / source.name / checksum)
            yield directory
        finally:
            files.remove_tree(directory)

    def _execute(self, step: Step, root: BuildRoot, view: bwrap.View, arguments: Mapping[str, Any]) -> None:
        """Run the step's program in its sandbox. Raises RunnerError when it fails, with the end of its log."""
        stage = step.stage

        def argv(fds: bwrap.Descriptors) -> list[str]:
            return bwrap.command(
                step.program,
                root,
                view,
                env=step.ingredients.environment,
                fds=fds,
            )

        full = {**arguments, "options": dict(stage.options)}
        if view.sources is not None:
            full["sources"] = bwrap.SOURCES
        if step.ingredients.secrets:
            full["secrets"] = {name: self._rooms.passphrases[name] for name in step.ingredients.secrets}
        started = time.monotonic()
        ended = process.run(
            argv,
            full,
            lambda line: self._tell("log", id=stage.id, name=stage.name, line=line),
            lambda report: self._tell("progress", id=stage.id, name=stage.name, **report),
            self._stop,
        )
        seconds = time.monotonic() - started
        success = ended.returncode == 0
        self.results.append(Result(step, Act.RUN, success, seconds, ended.output, ended.returncode))
        if success:
            return
        tail = ended.output.splitlines()[-TAIL:]
        why = how_it_ended(ended.returncode)
        self._tell(
            "end",
            id=stage.id,
            name=stage.name,
            state="failed",
            seconds=seconds,
            output=tail,
            returncode=ended.returncode,
            why=why,
        )
        if self._rooms.debug_shell:
            self._tell("note", message=f"a shell in the sandbox of {stage.name}; the tree is at {bwrap.TREE}")
            process.shell(lambda fds: [*bwrap.without_program(argv(fds)), "/bin/sh", "-i"], full)
        raise stage_failure(step, why, tail)
