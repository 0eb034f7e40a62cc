"""Files of a repository in a directory of this machine: its indexes, and the packages that they name.

They become sources of the pipeline, each by its digest: so a build sees nothing else of this machine, and what is in
the directory decides about the cache. Packages have the digests of the indexes, as in any repository; a package that
differs is refused when it is copied.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import subprocess
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, cast
from urllib.parse import quote

from osbuild_compose.distro.repository import LocalFile
from osbuild_compose.problem import InvalidValueError

MOST_PACKAGES = 20_000
MOST_BYTES = 256 << 20  # of an index, uncompressed
_STEP = 1 << 20


def _read(file: IO[bytes]) -> bytes:
    """All that a file has. Raises ValueError for too much of it: a small compressed file can be a very large one."""
    data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError("it is too large")
    return data


def _zstd(path: Path) -> bytes:
    # By its standard input, since it takes no file that is a link.
    argv = ["zstd", "-dcq"]
    with path.open("rb") as file:
        try:
            process = subprocess.Popen(argv, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        except FileNotFoundError:
            raise ValueError("zstd is not installed") from None
        with process:
            assert process.stdout
            try:
                data = _read(process.stdout)
            finally:
                process.stdout.close()
    if process.returncode:
        raise ValueError("it is damaged")
    return data


def _plain(path: Path) -> bytes:
    with path.open("rb") as file:
        return _read(file)


def _gzip(path: Path) -> bytes:
    with gzip.open(path) as file:
        return _read(cast(IO[bytes], file))


def _lzma(path: Path) -> bytes:
    with lzma.open(path) as file:
        return _read(file)


def _bzip2(path: Path) -> bytes:
    with bz2.open(path) as file:
        return _read(file)


_READ: dict[str, Callable[[Path], bytes]] = {
    "": _plain,
    ".gz": _gzip,
    ".xz": _lzma,
    ".lzma": _lzma,
    ".bz2": _bzip2,
    ".zst": _zstd,
}
SUFFIXES = tuple(_READ)


class Directory:
    """The directory of a repository, in which paths of its indexes are looked up."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)

    def has(self, path: str) -> bool:
        """Whether there is such a file that can be seen. None has a name that no file can have."""
        return os.path.isfile(self.root / path)

    def text(self, path: str) -> str:
        """The text of a file that may be compressed, by its name. Raises InvalidValueError."""
        try:
            return _READ.get(Path(path).suffix, _plain)(self.root / path).decode()
        except (OSError, ValueError, EOFError, lzma.LZMAError, zlib.error) as error:
            raise InvalidValueError(
                f"cannot read {self.root / path}: {error}", "make the repository's index anew"
            ) from None

    def file(self, path: str, digest: str = "") -> LocalFile:
        """A file, with its sha256 if that is known. Raises InvalidValueError for a path that leads elsewhere.

        With a known digest it may be a link to anywhere, such as to a pool of packages: nothing else is taken for it.
        """
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts or not parts or path.startswith("/") or any(ord(sign) < ord(" ") for sign in path):
            raise InvalidValueError(f"an index in {self.root} names a file outside of it: {path}")
        clean = "/".join(parts)
        place = self.root / clean
        if not digest:
            try:
                if not place.resolve().is_relative_to(self.root.resolve()):
                    brief = f"{place} is a link to a file outside of {self.root}"
                    raise InvalidValueError(brief, "copy the file there")
                status = place.stat()
                digest = _sha256(place, status.st_mtime_ns, status.st_size)
            except OSError as error:
                raise InvalidValueError(f"cannot read {place}: {error.strerror}") from None
        return LocalFile(clean, f"file://{quote(os.fsencode(place))}", digest)

    def limited(self, files: list[LocalFile]) -> tuple[LocalFile, ...]:
        """The files, if they are not too many for a pipeline. Raises InvalidValueError."""
        if len(files) > MOST_PACKAGES:
            brief = f"{self.root} has {len(files)} packages, and a directory may have {MOST_PACKAGES}"
            hint = f"serve it: python3 -m http.server --directory {self.root}, and write http://127.0.0.1:8000/"
            raise InvalidValueError(brief, hint)
        return tuple({file.path: file for file in files}.values())


@cache
def _sha256(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
