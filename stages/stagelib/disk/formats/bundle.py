"""A tar archive of several files, the same bytes every time."""

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

CHUNK = 1 << 20


@dataclass(frozen=True)
class File:
    """The content of a file on this machine."""

    path: str


Content = bytes | File


def tar(path: str, contents: Mapping[str, Content], epoch: int) -> None:
    """Make the archive `path` (POSIX ustar, pax headers for files of 8 GiB and more) of `contents` in their order.

    Owners are root, modes 0644, times `epoch` in seconds since 1970; it has no directories.
    """
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.mtime, info.mode, info.uname, info.gname = epoch, 0o644, "root", "root"
            if isinstance(content, File):
                info.size = os.path.getsize(content.path)
                with open(content.path, "rb") as file:
                    archive.addfile(info, file)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def digest(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            found.update(data)
    return found.hexdigest()
