"""Device nodes in the storage of containers: skopeo leaves them out where it may make none, so they get placeholders.

What a layer's archive has is in the storage without the files' content: <layer>.tar-split.gz, a line of JSON for each
part, https://github.com/vbatts/tar-split (tar/storage/entry.go). A file's name follows the headers in front of it.
"""

import base64
import gzip
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from stagelib import devices, tree_paths
from stagelib.devices import Device
from stagelib.errors import StageError

FILE, SEGMENT = 1, 2  # types of parts: a file, and bytes of the archive
KINDS = {tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b"}
SUFFIX = ".tar-split.gz"


def make_placeholders(storage: Path) -> None:
    """Make placeholders of the device nodes of all layers in the storage that do not have them yet."""
    for parts in sorted((storage / "overlay-layers").glob(f"*{SUFFIX}")):
        top = storage / "overlay" / parts.name.removesuffix(SUFFIX) / "diff"
        if not top.is_dir() or top.is_symlink():
            continue
        try:
            nodes = list(_nodes(parts))
        except (OSError, EOFError, ValueError, KeyError, TypeError, tarfile.TarError) as error:
            raise StageError(
                f"the layer {parts.name} of the tree's storage of containers is damaged: {error}"
            ) from None
        for member, device in nodes:
            _make(str(top), member, device)


def _nodes(parts: Path) -> Iterator[tuple[tarfile.TarInfo, Device]]:
    """The headers of a layer's device nodes, with the names that they really have."""
    header = b""
    with gzip.open(parts, "rb") as lines:
        for line in lines:
            part = json.loads(line)
            if part["type"] == SEGMENT:
                header = base64.b64decode(part["payload"] or "")[-tarfile.BLOCKSIZE :]
            elif part["type"] == FILE:
                if header[156:157] in KINDS:
                    member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
                    raw = part.get("name_raw")
                    member.name = os.fsdecode(base64.b64decode(raw)) if raw else part["name"]
                    device = Device(KINDS[member.type], member.devmajor, member.devminor)
                    if devices.parse(device.attribute):
                        yield member, device
                header = b""


def _make(top: str, member: tarfile.TarInfo, device: Device) -> None:
    path = os.path.normpath(f"/{member.name}")
    if not tree_paths.exists(top, os.path.dirname(path)):
        tree_paths.make_dirs(top, os.path.dirname(path))
    with tree_paths.parent(top, path) as (directory, name):
        try:
            fd = devices.make_placeholder(name, device, directory=directory)
        except FileExistsError:  # a later entry of the layer, or what was there before
            return
        try:
            os.fchown(fd, member.uid, member.gid)
            os.fchmod(fd, member.mode & 0o7777)
            os.utime(fd, (member.mtime, member.mtime))
        finally:
            os.close(fd)
