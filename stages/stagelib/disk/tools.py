"""Run the programs that make images, with errors a person can act on."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO, cast

from stagelib.disk import progress
from stagelib.errors import StageError

Environment = Mapping[str, str | None]  # changes; None unsets a variable

# The packages of each program: Debian's, Fedora's.
PACKAGES = {
    "bzip2": ("bzip2", "bzip2"),
    "cpio": ("cpio", "cpio"),
    "cryptsetup": ("cryptsetup-bin", "cryptsetup"),
    "debugfs": ("e2fsprogs", "e2fsprogs"),
    "fallocate": ("util-linux", "util-linux"),
    "grub-mkimage": ("grub-common", "grub2-tools"),
    "lzip": ("lzip", "lzip"),
    "lzop": ("lzop", "lzop"),
    "mcopy": ("mtools", "mtools"),
    "mke2fs": ("e2fsprogs", "e2fsprogs"),
    "mkfs.btrfs": ("btrfs-progs", "btrfs-progs"),
    "mkfs.erofs": ("erofs-utils", "erofs-utils"),
    "mkfs.fat": ("dosfstools", "dosfstools"),
    "mkfs.xfs": ("xfsprogs", "xfsprogs"),
    "mksquashfs": ("squashfs-tools", "squashfs-tools"),
    "mkswap": ("util-linux", "util-linux"),
    "mmd": ("mtools", "mtools"),
    "mount": ("mount", "util-linux-core"),
    "pigz": ("pigz", "pigz"),
    "qemu-img": ("qemu-utils", "qemu-img"),
    "sfdisk": ("fdisk", "util-linux"),
    "tar": ("tar", "tar"),
    "umount": ("mount", "util-linux-core"),
    "veritysetup": ("cryptsetup-bin", "veritysetup"),
    "xorriso": ("xorriso", "xorriso"),
    "xz": ("xz-utils", "xz"),
    "zstd": ("zstd", "zstd"),
}

NO_SPACE = "No space left on device"


class ToolError(StageError):
    """A program ended with `status`, which is not 0, after printing `output`."""

    def __init__(self, program: str, status: int, output: str) -> None:
        last = output.strip().splitlines()[-1:] or ["no message"]
        message, hint = f"{program} failed with status {status}: {last[0]}", ""
        if NO_SPACE in output:
            message = f"no space left for the image: {program} could not write it"
            hint = "free space where the store lies, or move it: --store"
        super().__init__(message, hint)
        self.output = output


def missing(program: str) -> StageError:
    """The error for a program that is not installed, naming its packages."""
    debian, fedora = PACKAGES[program]
    return StageError(
        f"{program} is not installed where this image is made",
        f"install the package {debian} (Debian, Ubuntu) or {fedora} (Fedora, CentOS) in the build root or on the host",
    )


def run(
    argv: Sequence[str], *, stdin: str | None = None, env: Environment | None = None, cwd: str | None = None
) -> str:
    """Run a program and return what it printed (standard output and error together).

    env: changes of the environment. Raises StageError when the program is
    missing, ToolError on a status other than 0.
    """
    given = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    with _started(argv, given, subprocess.PIPE, subprocess.STDOUT, env=env, cwd=cwd) as process:
        progress.started(process.pid)
        output, _ = process.communicate(None if stdin is None else os.fsencode(stdin))
    said = output.decode("utf-8", "replace")
    if process.returncode != 0:
        print(said, end="", flush=True)
        raise ToolError(argv[0], process.returncode, said)
    return said


def version(program: str, option: str = "--version") -> tuple[int, ...]:
    """The version that a program prints, as numbers. Raises as run() does, and StageError when it prints none."""
    return parse_version(program, run([program, option]))


def parse_version(program: str, said: str) -> tuple[int, ...]:
    """The version in what a program printed: "mkfs.btrfs, part of btrfs-progs v6.2" is (6, 2)."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    if match is None:
        raise StageError(f"{program} printed no version: {said.strip()}")
    return tuple(int(part) for part in match.groups() if part is not None)


def compress(argv: Sequence[str], source: str, target: str) -> None:
    """Run a program with the file `source` as its input and the new file `target` as its output.

    Raises as run() does.
    """
    with tempfile.TemporaryFile() as said, open(source, "rb") as feed, open(target, "wb") as file:
        with _started(argv, feed, file, said) as process:
            progress.started(process.pid)
        text = _said(said)
    if process.returncode != 0:
        raise ToolError(argv[0], process.returncode, text)


def pipe(argv: Sequence[str], consume: Callable[[BinaryIO], None], *, source: str = os.devnull) -> None:
    """Run a program and have `consume` read its standard output; its standard error goes to the log.

    source: the file that is its input. Raises as run() does, and what consume raises unless the program's own failure
    explains it.
    """
    with tempfile.TemporaryFile() as said, open(source, "rb") as feed:
        with _started(argv, feed, subprocess.PIPE, said) as process:
            progress.started(process.pid)
            assert process.stdout
            problem: StageError | None = None
            try:
                consume(cast("BinaryIO", process.stdout))
            except StageError as error:
                problem = error
        text = _said(said)
    # A program whose reader has stopped is killed by SIGPIPE.
    if process.returncode != 0 and not (problem and process.returncode == -signal.SIGPIPE):
        raise ToolError(argv[0], process.returncode, text)
    if problem:
        raise problem


@contextmanager
def feed(argv: Sequence[str], target: str) -> Iterator[Callable[[memoryview], object]]:
    """Run a program that reads what the block writes, with the new file `target` as its output.

    The block gets a function to write with; the program has ended when the block is left. Raises as run() does.
    """
    with tempfile.TemporaryFile() as said, open(target, "wb") as file:
        process = _started(argv, subprocess.PIPE, file, said)
        stdin = process.stdin
        assert stdin

        def take(data: memoryview) -> None:
            try:
                stdin.write(data)
            except BrokenPipeError:
                raise ToolError(argv[0], process.wait(), _said(said)) from None

        try:
            yield take
        except BaseException:
            process.kill()
            raise
        finally:
            with suppress(BrokenPipeError):  # it has ended, and its status says why
                stdin.close()
            process.wait()
        text = _said(said)
    if process.returncode != 0:
        raise ToolError(argv[0], process.returncode, text)


def _started(
    argv: Sequence[str],
    stdin: int | BinaryIO,
    stdout: int | BinaryIO,
    stderr: int | BinaryIO,
    *,
    env: Environment | None = None,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """A started program with run()'s changes of the environment. Raises StageError when it is missing."""
    changed: Environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    known = {name: value for name, value in changed.items() if value is not None}
    try:
        return subprocess.Popen(list(argv), stdin=stdin, stdout=stdout, stderr=stderr, env=known, cwd=cwd)
    except (FileNotFoundError, PermissionError):
        raise missing(argv[0]) from None


def _said(said: BinaryIO) -> str:
    """A program's output in the file `said`, which is logged as well."""
    said.seek(0)
    text = said.read().decode("utf-8", "replace")
    print(text, end="", flush=True)
    return text
