"""Waiting for locks, and what is said meanwhile."""

import fcntl
import os
from pathlib import Path

import pytest

from runner.store import locks


def test_it_is_said_what_is_waited_for_by_whom_and_how_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    held, wanted = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    fcntl.flock(held, fcntl.LOCK_EX)
    now = [100.0]
    monkeypatch.setattr(locks.time, "monotonic", lambda: now[0])
    said: list[str] = []

    def pause(_seconds: float) -> None:
        now[0] += 0.5
        if now[0] >= 170:
            fcntl.flock(held, fcntl.LOCK_UN)

    locks.acquire(wanted, "a thing", said.append, pause=pause)
    other = "(another process)"  # this one holds it itself
    assert said == [f"waiting for {seconds} s for a thing {other}" for seconds in (1, 31, 61)]
    with pytest.raises(BlockingIOError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_waiting_ends_with_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held, wanted = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    fcntl.flock(held, fcntl.LOCK_SH)

    def cancelled(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        locks.acquire(wanted, "a thing", locks.silent, pause=cancelled)
    locks.acquire(wanted, "a thing", locks.silent, shared=True, pause=cancelled)


@pytest.mark.parametrize(("pids", "text"), [([], "another process"), ([5], "process 5"), ([5, 17], "processes 5, 17")])
def test_processes_for_people(pids: list[int], text: str) -> None:
    assert locks.processes(pids) == text
    assert locks.waiting("x", pids, 0.2) == f"waiting for x ({text})"


def test_holders_are_those_of_this_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    info = os.fstat(fd)
    device = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}"
    (tmp_path / "locks").write_text(
        f"1: FLOCK  ADVISORY  READ  31 {device}:{info.st_ino} 0 EOF\n"
        f"2: FLOCK  ADVISORY  READ  30 {device}:{info.st_ino} 0 EOF\n"
        f"2: -> FLOCK  ADVISORY  WRITE 40 {device}:{info.st_ino} 0 EOF\n"
        f"3: POSIX  ADVISORY  WRITE 41 {device}:{info.st_ino} 0 EOF\n"
        f"4: FLOCK  ADVISORY  WRITE 42 {device}:{info.st_ino + 1} 0 EOF\n"
        f"5: FLOCK  ADVISORY  WRITE 0 {device}:{info.st_ino} 0 EOF\n"
        "odd\n"
    )
    monkeypatch.setattr(locks, "PROC", tmp_path)
    assert locks.holders(fd) == [30, 31]
    monkeypatch.setattr(locks, "PROC", tmp_path / "none")
    assert locks.holders(fd) == []
