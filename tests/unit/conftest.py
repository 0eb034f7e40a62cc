"""Unit tests start no program and open no socket: they need no privileges, tools or network, and take seconds."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

FORBIDDEN = {
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"),
    *("socket.__new__", "socket.getaddrinfo"),
}
# What the product asks when it is there: for unit tests it is not, whatever this machine has.
ABSENT = {"apt-config", "gpg"}
_running: list[str] = []  # the test that runs now, and what it did against the rule


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event not in FORBIDDEN or not _running:
        return
    if event == "subprocess.Popen" and arguments[0] in ABSENT:
        raise FileNotFoundError(arguments[0])
    _running.append(f"{event} {arguments[0] if arguments else ''}")
    pytest.fail(f"a unit test may not do this: {_running[-1]}; its place is tests/integration", pytrace=True)


sys.addaudithook(_audit)


@contextmanager
def watched(name: str) -> Iterator[None]:
    """Fails when what runs inside starts a program or opens a socket, in any thread."""
    before = _running[:]
    _running[:] = [name]
    try:
        yield
        done = _running[1:]
    finally:
        _running[:] = before
    if done:
        pytest.fail(f"{name}: a unit test may not do this: {', '.join(done)}; its place is tests/integration")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Watch what the test's fixtures do."""
    with watched(item.nodeid):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Watch the test."""
    with watched(item.nodeid):
        return (yield)
