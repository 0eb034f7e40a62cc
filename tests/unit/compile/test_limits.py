"""Templates run in bounded time and memory, and the limits end with them."""

import contextlib
import resource
import signal
import threading
import time

import pytest

from osbuild_compose.compile.template import limits


def spin() -> None:
    while True:
        pass


def test_time() -> None:
    before = signal.getsignal(signal.SIGPROF)
    with pytest.raises(limits.TimeLimitError), limits.bounded(seconds=0.05):
        spin()
    assert limits.expired()
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGPROF) is before


def test_an_error_that_is_swallowed_comes_again() -> None:
    def swallow() -> None:
        with contextlib.suppress(limits.TimeLimitError):
            spin()

        spin()

    with pytest.raises(limits.TimeLimitError), limits.bounded(seconds=0.05):
        swallow()


def test_memory() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), limits.bounded(memory=64 << 20):
        bytearray(256 << 20)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with limits.bounded(32 << 20, memory=64 << 20):  # content gives more room
        bytearray(256 << 20)


def test_threads() -> None:
    """Only memory is limited there; the last one out restores the limit."""
    before = resource.getrlimit(resource.RLIMIT_AS)

    def work() -> None:
        with limits.bounded():
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert resource.getrlimit(resource.RLIMIT_AS) == before
