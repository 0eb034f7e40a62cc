"""Everything about the files of a directory that an image should keep, for comparing two directories."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One file. mtime is in whole seconds; same is the first name of what is a hard link to it."""

    mode: int
    owner: tuple[int, int]
    mtime: int
    size: int
    device: int
    content: str
    attributes: tuple[tuple[str, bytes], ...]
    same: str


def entries(top: Path, *, attributes: bool = True, times: bool = True) -> dict[str, Entry]:
    """All entries below and with `top` by their paths."""
    names: dict[tuple[int, int], str] = {}
    found = {}
    for path in [top, *sorted(top.rglob("*"))]:
        info = path.lstat()
        name = path.relative_to(top).as_posix()
        plain = stat.S_ISREG(info.st_mode)
        content = ""
        if plain:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(info.st_mode):
            content = str(path.readlink())
        xattrs = sorted(os.listxattr(path, follow_symlinks=False)) if attributes else []
        found[name] = Entry(
            mode=info.st_mode,
            owner=(info.st_uid, info.st_gid),
            mtime=int(info.st_mtime) if times else 0,
            size=info.st_size if plain else 0,
            device=info.st_rdev,
            content=content,
            attributes=tuple((one, os.getxattr(path, one, follow_symlinks=False)) for one in xattrs),
            same=names.setdefault((info.st_dev, info.st_ino), name),
        )
    return found


def differences(wanted: dict[str, Entry], found: dict[str, Entry]) -> list[str]:
    """What is missing, what is too much, and what is not the same."""
    gone = [f"missing: {name!r}" for name in wanted if name not in found]
    more = [f"too much: {name!r}" for name in found if name not in wanted]
    other = [
        f"{name!r}: {wanted[name]} is {found[name]}" for name in wanted if name in found and wanted[name] != found[name]
    ]
    return gone + more + other
