"""Make an EROFS, a read-only file system, with mkfs.erofs."""

import os
import stat

from stagelib.disk import sparse_copy, tools
from stagelib.disk.filesystems.erofs import device_nodes
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.labelled_view import View
from stagelib.disk.planner import Place
from stagelib.errors import StageError

LONGEST = 255  # bytes in a name, NAME_MAX


def need(spec: FsSpec, _free: int) -> int:
    """Its size, known only after making it."""
    path = _file(spec)
    # Of character devices 0:0 newer versions conclude that the tree is a layer of an overlay.
    with spec.labelled(stand_in=stat.S_IFIFO) as content:
        pack(content, path, fs_uuid=spec.file_system.uuid, epoch=spec.epoch, compression=spec.file_system.compression)
    sparse_copy.dig_holes(path)
    return os.path.getsize(path)


def make(spec: FsSpec, image: str, place: Place) -> None:
    """Copy the file system from need() to `place` of the file `image`."""
    sparse_copy.copy_into(_file(spec), image, place)
    os.unlink(_file(spec))


def pack(content: View, path: str, *, fs_uuid: str, epoch: int, compression: str | None = None) -> None:
    """Make an EROFS of `content` in the new file `path`; all times are `epoch`, since older versions support no other.

    compression: lz4 or lz4hc; None for none.
    """
    argv = ["mkfs.erofs", "-U", fs_uuid, "-T", str(epoch), "--quiet"]
    argv += [f"-z{compression}"] if compression else []
    try:
        tools.run([*argv, path, content.path])
    except tools.ToolError:
        long = next(
            (
                name
                for _, *both in os.walk(content.path)
                for names in both
                for name in names
                if _length(name) == LONGEST
            ),
            None,
        )
        if long is None:
            raise
        raise StageError(
            f"mkfs.erofs cannot hold a name of {LONGEST} bytes: {long}", "use erofs-utils 1.6 or newer, or shorten it"
        ) from None
    if content.devices:
        device_nodes.make_device_nodes(path, content.devices)


def _length(name: str) -> int:
    return len(os.fsencode(name))


def _file(spec: FsSpec) -> str:
    return os.path.join(spec.work, f"{spec.file_system.uuid}.erofs")
