"""Which times of files are the clock's."""

import os
import time
from pathlib import Path

from runner.store.layer import clamp_times, clock_ns

EPOCH = 1_700_000_000
SECOND = 10**9


def test_only_what_the_clock_wrote_meanwhile_becomes_the_epoch(tmp_path: Path) -> None:
    names = [b"now", b"before", b"newer-than-the-epoch", b"still-to-come"]
    before = EPOCH * SECOND - 5
    newer = clock_ns() - 3600 * SECOND
    to_come = time.time_ns() + 3600 * SECOND
    started = clock_ns()
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    for name, at in (("before", before), ("newer-than-the-epoch", newer), ("still-to-come", to_come)):
        os.utime(tmp_path / name, ns=(at, at))
    (tmp_path / "link").symlink_to("now")
    clamp_times(tmp_path, [*names, b"link"], started, EPOCH)
    times = {path.name: path.lstat().st_mtime_ns for path in tmp_path.iterdir()}
    settled = EPOCH * SECOND
    expected = {"now": settled, "link": settled, "before": before, "newer-than-the-epoch": newer}
    assert times == {**expected, "still-to-come": to_come}
    assert tmp_path.stat().st_mtime_ns == settled


def test_a_file_is_never_older_than_the_clock_that_stamps_it(tmp_path: Path) -> None:
    for _ in range(50):
        started = clock_ns()
        (tmp_path / "file").write_text("x")
        assert (tmp_path / "file").stat().st_mtime_ns >= started
