"""Directory trees beside a blueprint that are copied into the image.

Only their names, links and executable bits are read here, and digests: contents go from file to file, by digest.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from osbuild_compose.problem import InvalidValueError

MOST = 200_000  # entries: the pipeline has them all
DEEPEST = 100  # directories in each other
_PATH = re.compile(r"[^\x00-\x1f\x7f]+")  # what the stage takes, and messages can show
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
}


@dataclass(frozen=True)
class Entry:
    """Something in the directory, at a path relative to it: a directory, a link to `target`, or a file."""

    path: str
    is_directory: bool = False
    target: str | None = None
    executable: bool = False


@dataclass(frozen=True)
class Overlay:
    """A tree as the options of a stage that makes it; urls: where its files are, by their digests."""

    directories: tuple[Mapping[str, Any], ...]
    files: tuple[Mapping[str, Any], ...]
    symlinks: tuple[Mapping[str, Any], ...]
    urls: Mapping[str, str] = field(repr=False)


def scan(directory: Path) -> tuple[Entry, ...]:
    """All that is in the directory, sorted, links as links. Raises InvalidValueError for what cannot be copied."""
    found: list[Entry] = []
    try:
        for entry in _walk(directory, "", 1):
            found.append(entry)
            if len(found) > MOST:
                raise InvalidValueError(
                    f"{directory} has more than {MOST:,} files", "pack them into a package or an archive"
                )
    except OSError as error:  # such as a file that was removed meanwhile
        raise InvalidValueError(f"cannot read {error.filename or directory}: {error.strerror}") from None
    return tuple(found)


def _walk(directory: Path, above: str, depth: int) -> Iterator[Entry]:
    if depth > DEEPEST:
        raise InvalidValueError(f"directories in {directory} are more than {DEEPEST} deep", "remove the innermost")
    with os.scandir(directory) as entries:
        names = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    for entry in names:
        path = os.path.join(above, entry.name)
        if not _PATH.fullmatch(entry.name) or not _is_text(entry.name):
            shown = repr(os.fsencode(path))[1:]
            raise InvalidValueError(f"{shown} in {directory} is not a name of printable characters", "rename it")
        info = entry.stat(follow_symlinks=False)
        kind = stat.S_IFMT(info.st_mode)
        if kind in _KINDS:
            raise InvalidValueError(
                f"{directory / entry.name} is {_KINDS[kind]}", "remove it: files, directories and links are copied"
            )
        if entry.is_symlink():
            yield Entry(path, target=_target(directory / entry.name))
        elif entry.is_dir(follow_symlinks=False):
            yield Entry(path, is_directory=True)
            yield from _walk(directory / entry.name, path, depth + 1)
        else:
            yield Entry(path, executable=bool(info.st_mode & stat.S_IXUSR))


def _target(link: Path) -> str:
    target = os.readlink(link)
    if not _PATH.fullmatch(target) or not _is_text(target):
        raise InvalidValueError(f"the target of {link} is not a path of printable characters", "make another link")
    return target


def _is_text(name: str) -> bool:
    """Whether the name is UTF-8: Python has surrogates for other bytes."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def overlay(directory: Path, top: str, options: Mapping[str, Any]) -> Overlay:
    """The tree of the directory at the path `top` of the image, "/" or another one. Reads all of its files.

    options: `mode` (of files; directories get it with x where there is r), `owner` and `group` of all that is made.
    Directories that are there already stay as they are. Raises InvalidValueError.
    """
    entries = scan(directory)
    owners = {key: options[key] for key in ("owner", "group") if key in options}
    mode = {"mode": _of_directory(options["mode"])} if "mode" in options else {}
    above = "" if top == "/" else top
    paths = [above] * bool(above) + [f"{above}/{entry.path}" for entry in entries if entry.is_directory]
    files, urls = [], {}
    for entry in entries:
        if not entry.is_directory and entry.target is None:
            path = (directory / entry.path).absolute()
            digest = _digest(path)
            urls[f"sha256:{digest}"] = f"file://{quote(os.fsencode(path))}"
            default = "0755" if entry.executable else "0644"
            made = {
                "path": f"{above}/{entry.path}",
                "checksum": f"sha256:{digest}",
                "mode": options.get("mode", default),
            }
            files.append(made | owners)
    return Overlay(
        directories=tuple({"path": path, "keep": True, **mode, **owners} for path in paths),
        files=tuple(files),
        symlinks=tuple({"path": f"{above}/{entry.path}", "target": entry.target} for entry in entries if entry.target),
        urls=urls,
    )


def _of_directory(mode: str) -> str:
    """The mode of a file with x for everybody who has r: 0640 is 0750."""
    number = int(mode, 8)
    return f"{number | (number & 0o444) >> 2:04o}"


def _digest(path: Path) -> str:
    """The sha256 of a regular file, and of no other."""
    try:
        info = os.lstat(path)
        return _digest_of(path, info.st_mtime_ns, info.st_size, info.st_ino)
    except OSError as error:
        raise InvalidValueError(f"cannot read {path}: {error.strerror}") from None


@cache
def _digest_of(path: Path, _changed: int, _size: int, _number: int) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise InvalidValueError(f"{path} was replaced meanwhile", "run it again")
        return hashlib.file_digest(file, "sha256").hexdigest()
