"""Facts about this machine, gathered without changing anything."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner import tools
from runner.sandbox import sysctls
from runner.store import scratch_place
from runner.tools import TOOLS, Tool

TIMEOUT = 10  # seconds that a program has to print its version
_VERSION = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)")


@dataclass(frozen=True)
class Facts:
    """What is known about the machine.

    os_release is the text of its os-release(5). versions has the programs of tools.TOOLS that are here, "" for one
    whose version is not known. settings are the values of sysctls.SETTINGS. store is the directory of the store,
    writable whether this user may write there, and free how many bytes; room is how many bytes of memory are there for
    scratch.
    """

    os_release: str
    is_root: bool
    writable: bool
    versions: Mapping[str, str]
    settings: Mapping[str, int]
    store: Path
    free: int
    room: int


def gather(store: Path) -> Facts:
    """The facts of this machine, for builds with that store, which need not exist."""
    # No threads: the process is to enter namespaces afterwards. Programs print less than a pipe holds.
    started = {tool.name: _started(path, tool) for tool in TOOLS if (path := tools.find(tool.name))}
    versions = {name: _version(process) for name, process in started.items()}
    return Facts(
        os_release=tools.os_release(),
        is_root=os.geteuid() == 0,
        writable=os.access(existing(store), os.W_OK | os.X_OK),
        versions=versions,
        settings=sysctls.values(),
        store=store,
        free=shutil.disk_usage(existing(store)).free,
        room=scratch_place.room_in_memory(store),
    )


def existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(found for found in (path, *path.parents) if os.path.isdir(found))


def _started(path: str, tool: Tool) -> subprocess.Popen[bytes] | None:
    """A program that prints its version; None for one that prints none."""
    if not tool.option:
        return None
    environment = {"PATH": tools.PATH, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    try:
        return subprocess.Popen(
            [path, tool.option],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError:
        return None


def _version(process: subprocess.Popen[bytes] | None) -> str:
    if process is None:
        return ""
    try:
        printed, _ = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return ""
    return version_in(printed.decode(errors="replace"))


def version_in(printed: str) -> str:
    """The version in what a program printed; "" if there is none."""
    found = _VERSION.search(printed)
    return found[1] if found else ""
