"""Archives finished layers in a thread, while later stages run."""

import queue
import threading
from collections.abc import Callable


class Archiver:
    """Does jobs one after the other in a thread of its own. Jobs may be submitted from several threads."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._error: BaseException | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Do a job after those before it. Raises what an earlier job raised."""
        self.check()
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="archiver")
                self._thread.start()
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait until all jobs are done."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def check(self) -> None:
        """Raise the first error of a job, if there was one."""
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while job := self._jobs.get():
            try:
                job()
            except BaseException as error:
                self._error = self._error or error
