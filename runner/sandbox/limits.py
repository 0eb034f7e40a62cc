"""Limits of what one step may use, and the watch over it: time, memory, processes, and the space on disk."""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import environment_error

INTERVAL = 0.25  # seconds between looks
PAGE = os.sysconf("SC_PAGE_SIZE")
MEMORY_SHARE = 0.8  # of the machine's memory that a step may use by default
HOURS = 3600
FULL = 1 << 20  # a file system with fewer bytes left is full
NEEDED = 16 << 20  # bytes of free space without which nothing is begun


@dataclass(frozen=True)
class Limits:
    """What one step may use: seconds, bytes of memory, processes and threads; 0 stands for no limit of seconds."""

    seconds: float = 2 * HOURS
    memory: int = int(os.sysconf("SC_PHYS_PAGES") * PAGE * MEMORY_SHARE)
    processes: int = 4096

    def command(self) -> list[str]:
        """The beginning of a command line that has the kernel refuse further processes, setrlimit(2).

        The kernel counts all of a user's: sandboxes have users of their own.
        """
        return ["prlimit", f"--nproc={self.processes}", "--"]


@dataclass
class Usage:
    """What was seen of a step: why it was ended, if it was, and which of the watched directories had no space left."""

    reason: str = ""
    hint: str = ""
    full: Path | None = None


@dataclass(frozen=True)
class _Process:
    parent: int
    session: int
    threads: int
    memory: int


@contextlib.contextmanager
def watched(
    process: subprocess.Popen[bytes], limits: Limits, places: Sequence[Path], kill: Callable[[], None]
) -> Iterator[Usage]:
    """Call `kill` once the process and its descendants exceed a limit, while this lasts.

    places are directories on the file systems that they write to.
    """
    usage = Usage()
    stop = threading.Event()

    def watch() -> None:
        end = time.monotonic() + limits.seconds if limits.seconds else float("inf")
        while not stop.wait(min(INTERVAL, max(0.0, end - time.monotonic()))):
            usage.full = usage.full or _full(places)
            if time.monotonic() >= end:
                usage.reason = f"took longer than {duration(limits.seconds)}"
                usage.hint = "--stage-timeout lets stages take longer"
            else:
                _check(process.pid, limits, usage)
            if usage.reason:
                kill()
                return

    watcher = threading.Thread(target=watch, name="watcher of a step")
    watcher.start()
    try:
        yield usage
    finally:
        stop.set()
        watcher.join()
        usage.full = usage.full or _full(places)


def _full(places: Sequence[Path]) -> Path | None:
    return next((place for place in places if shutil.disk_usage(place).free < FULL), None)


def check_space(places: Sequence[Path]) -> None:
    """Raise RunnerError (environment) if there is too little space in one of the directories to begin at all."""
    for place in places:
        free = shutil.disk_usage(place).free
        if free < NEEDED:
            raise environment_error(
                f"{place} has only {free >> 20} MiB of free space: at least {NEEDED >> 20} MiB are needed",
                hint="free space there, or choose other places: --store, and --scratch of `python3 -m runner`",
            )


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [child for child, process in _processes().items() if process.parent == pid]


def session(leader: int) -> list[int]:
    """The processes in the session that `leader` has, or had, begun."""
    return [pid for pid, process in _processes().items() if process.session == leader and pid != leader]


def _check(pid: int, limits: Limits, usage: Usage) -> None:
    family = _family(pid)
    if sum(one.threads for one in family.values()) >= limits.processes * 0.95:
        usage.reason = f"started too many processes: at most {limits.processes} are allowed"
        usage.hint = "a stage that starts processes without end is wrong; --stage-processes allows more"
        return
    files = _files_in_memory(family)
    if sum(one.memory for one in family.values()) + files > limits.memory:
        used = sum(map(_proportional, family)) + files
        if used > limits.memory:
            usage.reason = f"used more than {limits.memory >> 20} MiB of memory"
            usage.hint = "--stage-memory allows more"


def _processes() -> dict[int, _Process]:
    """All processes by their ids: those of the run, which has a pid namespace of its own."""
    return {int(name): found for name in os.listdir("/proc") if name.isdecimal() and (found := _process(name))}


def _family(top: int) -> dict[int, _Process]:
    """The process `top` and all its descendants, by their ids."""
    processes = _processes()
    below: dict[int, list[int]] = {}
    for pid, process in processes.items():
        below.setdefault(process.parent, []).append(pid)
    family: dict[int, _Process] = {}
    todo = [top]
    while todo:
        pid = todo.pop()
        if pid in processes and pid not in family:
            family[pid] = processes[pid]
            todo += below.get(pid, ())
    return family


def _process(name: str) -> _Process | None:
    try:
        # What follows the name in parentheses, from the third field on, proc_pid_stat(5).
        fields = Path("/proc", name, "stat").read_bytes().rpartition(b")")[2].split()
        return _Process(int(fields[1]), int(fields[3]), int(fields[17]), int(fields[21]) * PAGE)
    except (OSError, ValueError, IndexError):
        return None


def _proportional(pid: int) -> int:
    """The memory of a process in bytes, where what several share is divided among them, proc_pid_smaps_rollup(5)."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _files_in_memory(family: Iterable[int]) -> int:
    """The bytes of files on the tmpfs of a sandbox, such as its /tmp: memory that is no process's, tmpfs(5)."""
    outside = set(_tmpfs("self"))
    used: dict[str, int] = {}
    seen = set()
    for pid in family:
        with contextlib.suppress(OSError, ValueError):
            namespace = os.stat(f"/proc/{pid}/ns/mnt").st_ino
            if namespace in seen:
                continue
            seen.add(namespace)
            for device, path in _tmpfs(str(pid)).items():
                if device not in outside and device not in used:
                    used[device] = _used(f"/proc/{pid}/root{path}", device)
    return sum(used.values())


def _used(path: str, device: str) -> int:
    """The bytes that are used on the file system at `path`; 0 if it is not the device any more.

    A program that makes a sandbox changes its root meanwhile, and the path may lead to a whole disk.
    """
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        found = os.fstat(fd).st_dev
        info = os.fstatvfs(fd)
    finally:
        os.close(fd)
    if f"{os.major(found)}:{os.minor(found)}" != device:
        return 0
    return (info.f_blocks - info.f_bfree) * info.f_frsize


def _tmpfs(pid: str) -> dict[str, str]:
    """The device numbers of the tmpfs that a process sees, and where one of each is, proc_pid_mountinfo(5)."""
    fields = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text(errors="replace").splitlines()]
    return {one[2]: one[4] for one in fields if one[one.index("-") + 1] == "tmpfs"}


def duration(seconds: float) -> str:
    """A duration for people."""
    for unit, name in ((HOURS, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def parse_duration(text: str) -> float:
    """Seconds from a number with a unit s, min or h (without one: seconds). Raises ValueError."""
    units = {"min": 60, "h": HOURS, "m": 60, "s": 1}
    unit = next((unit for unit in units if text.strip().endswith(unit)), "")
    number = text.strip().removesuffix(unit).strip()
    if not number.isascii() or not number.replace(".", "", 1).isdigit() or len(number) > 15:
        raise ValueError(f"{text!r} is not a duration, such as 90 s, 30min or 2h")
    return float(number) * units.get(unit, 1)
