"""Unit tests that start a program or open a socket fail."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.unit.conftest import watched


def in_a_thread() -> None:
    thread = threading.Thread(target=lambda: subprocess.run(["true"], check=False))
    with suppress(Exception):
        thread.start()
        thread.join()


def swallowed() -> None:
    with suppress(BaseException):
        subprocess.run(["true"], check=False)


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda: subprocess.run(["true"], check=False),
        lambda: os.system("true"),
        os.fork,
        lambda: socket.create_connection(("127.0.0.1", 9)),
        socket.socketpair,
        in_a_thread,
        swallowed,
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_it_fails(forbidden: Callable[[], object]) -> None:
    with pytest.raises(pytest.fail.Exception, match="a unit test may not do this"), watched("a test"):
        forbidden()


def test_this_machines_apt_is_not_asked() -> None:
    with pytest.raises(FileNotFoundError):
        subprocess.run(["apt-config", "shell"], check=False)
