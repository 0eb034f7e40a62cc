"""Bounds the time and memory of a template: it is a program, and may come from somebody else."""

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType

SECONDS = 5.0  # of processor time, for a template that is given little
MEMORY = 512 << 20  # bytes, likewise
# What each byte of the files that a blueprint puts into the pipeline adds.
_SECONDS_PER_BYTE = 1 / (4 << 20)
_MEMORY_PER_BYTE = 16
_AGAIN = 0.1  # seconds until an error that a template's code swallowed is raised again


class TimeLimitError(Exception):
    """A template took too much processor time."""


_expired: ContextVar[bool] = ContextVar("expired", default=False)


def expired() -> bool:
    """Whether TimeLimitError was raised. Code that catches it, as for looking up attributes, reports other errors."""
    return _expired.get()


_lock = threading.Lock()
_inside = 0  # how many threads are inside `bounded`
_before = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@contextmanager
def bounded(content: int = 0, *, seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """In this context TimeLimitError is raised when too much processor time is used, MemoryError for memory.

    content is the number of bytes of the files that are put into the pipeline. Memory is limited for the process as a
    whole. Signals reach the main thread only: in other threads time is not limited.
    """
    memory += content * _MEMORY_PER_BYTE
    with _bounded_memory(memory), _bounded_time(seconds + content * _SECONDS_PER_BYTE):
        yield


@contextmanager
def _bounded_memory(size: int) -> Iterator[None]:
    global _inside, _before  # noqa: PLW0603 - as the limit is the whole process's
    with _lock:
        if _inside == 0:
            _before = resource.getrlimit(resource.RLIMIT_AS)
        _inside += 1
        soft, hard = _before
        limit = _address_space() + size
        allowed = [each for each in (soft, hard) if each != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([limit, *allowed]), hard))
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                resource.setrlimit(resource.RLIMIT_AS, _before)


def _address_space() -> int:
    """The size of this process's address space in bytes: proc_pid_statm(5)."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _bounded_time(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    running = True
    _expired.set(False)

    def stop(_number: int, _frame: FrameType | None) -> None:
        if running:
            _expired.set(True)
            raise TimeLimitError

    handler = signal.signal(signal.SIGPROF, stop)
    timer = signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
    try:
        yield
    finally:
        running = False
        signal.setitimer(signal.ITIMER_PROF, *timer)
        signal.signal(signal.SIGPROF, handler)
