"""A process that is started before the runner enters its namespaces, and exports results with the caller's own rights.

In its user namespace the runner can write only what belongs to the caller: root could not write to another user's
directory, and nobody could give a tree's files the owners that they have in an image.
"""

import ctypes
import json
import os
import signal
import socket
from pathlib import Path
from types import FrameType
from typing import Any

from runner.errors import ErrorKind, RunnerError, build_error
from runner.export import export_output, unpack_tree

PR_SET_PDEATHSIG = 1
MAX_REQUEST = 1 << 16  # bytes; two paths


class Outside:
    """The process; it ends with its parent, the process that starts it."""

    def __init__(self) -> None:
        """Start it: this process must have one thread."""
        self._socket, theirs = socket.socketpair()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                self._socket.close()
                _serve(theirs, parent)
                status = 0
            finally:
                os._exit(status)
        theirs.close()

    def close(self) -> None:
        """Let it end: it has nothing more to do."""
        self._socket.close()

    def export_output(self, output: Path, directory: Path, umask: int) -> list[Path]:
        """See runner.export."""
        request = {"output": str(output), "directory": str(directory), "umask": umask}
        return [Path(path) for path in self._ask(request, [])["files"]]

    def unpack_tree(self, archive: int, target: Path) -> None:
        """See runner.export."""
        self._ask({"target": str(target)}, [archive])

    def _ask(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """The answer to a request; the descriptors are passed on and closed."""
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode() + b"\n"], fds)
        finally:
            for fd in fds:
                os.close(fd)
        data = b""
        while not data.endswith(b"\n"):
            received = self._socket.recv(MAX_REQUEST)
            if not received:
                raise build_error("the process that exports results has ended", hint="run it again")
            data += received
        answer: dict[str, Any] = json.loads(data)
        if "error" in answer:
            raise RunnerError(**{**answer["error"], "kind": ErrorKind(answer["error"]["kind"])})
        return answer


class _StoppedError(BaseException):
    """SIGTERM came; temporary files are removed on the way out."""


def _serve(requests: socket.socket, parent: int) -> None:
    """Answer requests until the other end is closed."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the runner decides what ends
    signal.signal(signal.SIGTERM, _stop)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return
    data, fds = b"", list[int]()
    while True:
        received, new, _, _ = socket.recv_fds(requests, MAX_REQUEST, 1)
        if not received:
            return
        data, fds = data + received, fds + new
        if data.endswith(b"\n"):
            requests.sendall(json.dumps(_do(json.loads(data), fds)).encode() + b"\n")
            data, fds = b"", []


def _do(request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    try:
        if "target" in request:
            unpack_tree(fds[0], Path(request["target"]))
            return {}
        made = export_output(Path(request["output"]), Path(request["directory"]), request["umask"])
        return {"files": [str(path) for path in made]}
    except RunnerError as error:
        return {"error": error.fields()}


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _StoppedError
