"""Runs the pipelines of all manifests, each after those that it needs, several at a time."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter

from runner.build import Build, check, sources_of
from runner.cancellation import Cancellation
from runner.errors import RunnerError, build_error
from runner.execute import Executor, RunContext
from runner.steps import PlannedPipeline
from runner.store.layer import CorruptLayerError


def run(builds: Sequence[Build], context: RunContext, jobs: int, exports: Sequence[str]) -> None:
    """Carry out the plans of all builds, `jobs` pipelines at a time; those of the first builds come first.

    Where a pipeline fails, its build's error says why; those that do not need it go on. A damaged layer is made again.
    Raises RunnerError (interrupted).
    """
    runs = [_GraphRun(build, context, exports) for build in builds]
    try:
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            try:
                _run_all(runs, pool, max(1, jobs), context.cancellation)
            except BaseException:
                context.cancellation.request()
                context.fetcher.close()
                raise
    finally:
        for one in runs:
            one.executor.archiver.finish()
    for one in runs:
        one.check_archiver()


def _run_all(runs: Sequence["_GraphRun"], pool: ThreadPoolExecutor, jobs: int, cancellation: Cancellation) -> None:
    running: dict[Future[None], tuple[_GraphRun, PlannedPipeline]] = {}
    while True:
        cancellation.check()
        for one in runs:
            while len(running) < jobs and (pipeline := one.take()):
                future = pool.submit(one.executor.run, pipeline, one.build.actions_of(pipeline))
                running[future] = (one, pipeline)
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            one, pipeline = running.pop(future)
            one.ended(pipeline, future.exception())


class _GraphRun:
    """The pipelines of one build: those that wait for others, may start, or are running."""

    def __init__(self, build: Build, context: RunContext, exports: Sequence[str]) -> None:
        self.build = build
        self.executor = Executor(context, build.manifest.sources, build.pipelines, build.number)
        build.results = self.executor.results
        self._context = context
        self._exports = exports
        self._running = 0
        self._damaged: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        self._graph = TopologicalSorter({one.name: one.references for one in self.build.pipelines})
        self._graph.prepare()
        self._ready = deque(self._graph.get_ready())

    def take(self) -> PlannedPipeline | None:
        """The next pipeline that may start; None if there is none."""
        if self._damaged or not self._ready:
            return None
        self._running += 1
        name = self._ready.popleft()
        return next(pipeline for pipeline in self.build.pipelines if pipeline.name == name)

    def ended(self, pipeline: PlannedPipeline, error: BaseException | None) -> None:
        """Record that a pipeline succeeded or failed. Raises errors that are not failures of the build."""
        self._running -= 1
        if error is None:
            self._graph.done(pipeline.name)
            self._ready.extend(self._graph.get_ready())
        elif isinstance(error, CorruptLayerError):
            self._damaged.add(error.key)
        else:
            self._fail(error)
        if self._damaged and not self._running:
            self._make_again()

    def check_archiver(self) -> None:
        """Record a failure to archive a layer."""
        try:
            self.executor.archiver.check()
        except (RunnerError, OSError) as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Record why the build failed; the first of several errors is kept."""
        if isinstance(error, OSError):
            error = build_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        if not isinstance(error, RunnerError):
            raise error
        self.build.error = self.build.error or error

    def _make_again(self) -> None:
        """Plan again without the damaged layers, and start again with what is left to do."""
        store = self._context.store
        self.executor.archiver.finish()
        for key in sorted(self._damaged):
            info = store.layer(key)
            self._context.emit(
                "note", message=f"the layer of {info.name if info else key} was damaged; it is made again"
            )
            store.drop_layer(key)
        self._damaged.clear()
        self._ready.clear()
        try:
            self.build.replan(store.state(), self._exports)
            check([self.build])
        except RunnerError as error:
            self._fail(error)
            return
        self._context.fetcher.start(sources_of([self.build]))
        self._begin()
