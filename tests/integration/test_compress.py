"""What is compressed: whole, and the same for any number of processors."""

import gzip
import hashlib
import os
import random
import subprocess
from pathlib import Path

import pytest
from stagelib.disk import compress
from stagelib.disk.formats.run import Run
from stagelib.errors import StageError

PIECE = 1 << 20


def text(size: int) -> bytes:
    """Data that is somewhat like what is in files."""
    chance = random.Random(size)
    words = [chance.randbytes(chance.randrange(3, 12)) for _ in range(500)]
    made = b" ".join(chance.choices(words, k=size // 6 + 1))
    return made[:size]


def gzipped(data: bytes, processors: int) -> bytes:
    argv = [*compress.argv("gzip"), "--processes", str(processors)]
    return subprocess.run(argv, input=data, capture_output=True, check=True).stdout


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 5 * PIECE + 77])
def test_gzip_is_read_by_others_and_the_same_for_any_number_of_processors(size: int, tmp_path: Path) -> None:
    data = text(size)
    made = gzipped(data, 1)
    assert gzip.decompress(made) == data
    (tmp_path / "a.gz").write_bytes(made)
    assert subprocess.run(["gzip", "-dc", tmp_path / "a.gz"], capture_output=True, check=True).stdout == data
    assert {gzipped(data, processors) for processors in (2, 3, 7)} == {made}


@pytest.mark.parametrize("step", [512, 10_000, 3 * PIECE])
def test_the_pieces_in_which_data_is_written_do_not_show(step: int, tmp_path: Path) -> None:
    data = text(3 * PIECE + 5)
    with compress.writing({"gzip": str(tmp_path / "a")}) as file:
        for at in range(0, len(data), step):
            file.write(data[at : at + step])
    assert (tmp_path / "a").read_bytes() == gzipped(data, 2)


def test_gzip_has_no_time_and_is_about_as_small_as_in_one_piece() -> None:
    data = text(4 * PIECE)
    made = gzipped(data, 2)
    assert made[:10] == bytes.fromhex("1f8b0800000000000003")
    assert len(made) < len(gzip.compress(data, 6)) * 1.01


@pytest.mark.parametrize("kind", ["xz", "xz for a kernel", "zstd"])
def test_threads_do_not_show_in_the_bytes(kind: str) -> None:
    data = (text(50_000) + bytes(4 * PIECE)) * 12  # more than one block of xz's, several jobs of zstd's
    argv = [word for word in compress.argv(kind) if not word.startswith("--threads")]
    made = {
        hashlib.sha256(subprocess.run(command, input=data, capture_output=True, check=True).stdout).hexdigest()
        for command in (compress.argv(kind), *([*argv, f"--threads={count}"] for count in (2, 5)))
    }
    assert len(made) == 1


def test_one_writing_makes_all_files(tmp_path: Path) -> None:
    data = text(2 * PIECE + 5)
    targets: dict[str | None, str] = {kind: str(tmp_path / (kind or "plain")) for kind in (None, "gzip", "zstd", "xz")}
    digest = hashlib.sha256()
    with compress.writing(targets, digest.update) as file:
        file.write(data[:100])
        assert file.tell() == 100
        file.write(data[100:])
    assert digest.digest() == hashlib.sha256(data).digest()
    assert (tmp_path / "plain").read_bytes() == data
    for kind in ("gzip", "zstd", "xz"):
        unpacked = subprocess.run([kind, "-dc"], stdin=(tmp_path / kind).open(), capture_output=True, check=True)
        assert unpacked.stdout == data


def test_a_compressor_without_room_says_so(tmp_path: Path) -> None:
    targets: dict[str | None, str] = {"zstd": "/dev/full", "gzip": str(tmp_path / "a"), "xz": str(tmp_path / "b")}
    with pytest.raises(StageError, match="no space left"):
        write_without_end(targets)


def write_without_end(targets: dict[str | None, str]) -> None:
    with compress.writing(targets) as file:
        while True:
            file.write(os.urandom(PIECE))


def test_what_several_formats_need_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(directory: str) -> str:
        made.append(directory)
        return directory

    run = Run("/", 1, "", (), str(tmp_path))
    assert run.once("a", make) == run.once("a", make) != run.once("b", make)
    assert len(made) == 2
    assert all(Path(path).is_dir() and Path(path).parent == tmp_path for path in made)
