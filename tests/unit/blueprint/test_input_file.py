"""Files of users are read without waiting and without reading more than is wanted."""

import os
from pathlib import Path

import pytest

from osbuild_compose.document import input_file


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a\r\nb\rc")
    assert input_file.read(file, 4) == b"a\r\nb"
    assert input_file.text(file, 6) == "a\nb\nc"
    with pytest.raises(OSError, match="larger"):
        input_file.text(file, 5)
    file.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        input_file.text(file, 5)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for pipes in (False, True):
        with pytest.raises(input_file.NotAFileError, match="FIFO"):
            input_file.read(tmp_path / "fifo", 1, pipes=pipes)
        with pytest.raises(IsADirectoryError):
            input_file.read(tmp_path, 1, pipes=pipes)
        with pytest.raises(ValueError, match="null"):
            input_file.read(Path("a\0b"), 1, pipes=pipes)
    with pytest.raises(input_file.NotAFileError, match="device"):
        input_file.read(Path("/dev/zero"), 1)


def test_pipes_and_devices_where_they_are_wanted() -> None:
    assert input_file.read(Path("/dev/zero"), 3, pipes=True) == b"\0\0\0"
    read, write = os.pipe()
    os.write(write, b"abc")
    os.close(write)
    assert input_file.read(Path(f"/dev/fd/{read}"), 10, pipes=True) == b"abc"
    os.close(read)
