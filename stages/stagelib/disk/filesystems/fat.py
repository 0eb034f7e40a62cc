"""Make a FAT with mkfs.fat and mtools. It has no owners, modes, links or attributes; all times are the epoch."""

import os
import stat
import uuid

from stagelib import devices
from stagelib.disk import sparse_copy, tools
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB, human
from stagelib.errors import StageError

FORBIDDEN = set('"*/:<>?\\|')
LABEL = 11
AT_ONCE = 400  # arguments of mcopy: Linux takes 2 MiB, and a path has up to 4 KiB


def need(spec: FsSpec, free: int) -> int:
    """The size in bytes of a FAT with the content, with clusters of 4 KiB and both tables of 4 bytes for each."""
    data = spec.size().data
    return data + data // 256 + min(free, 16 * MIB) + 2 * MIB


def make(spec: FsSpec, image: str, place: Place) -> None:
    """Make a FAT in `place` of the file `image`. Raises StageError, naming it, for a file that FAT cannot hold."""
    directories, files = entries(spec.content)
    env = {"SOURCE_DATE_EPOCH": str(spec.epoch), "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}
    argv = ["mkfs.fat", "--invariant", "-i", volume_id(spec.file_system.uuid), "-S", str(spec.sector)]
    argv += ["-n", spec.file_system.label.upper()] if spec.file_system.label else []
    area = os.path.join(spec.work, "fat")
    with open(area, "wb") as file:
        file.truncate(place.size)
    tools.run([*argv, area], env=env)
    for first in range(0, len(directories), AT_ONCE):
        names = directories[first : first + AT_ONCE]
        tools.run(["mmd", "-i", area, *(f"::/{name}" for name in names)], env=env)
    for directory in ["", *directories]:
        here = [os.path.join(spec.content, name) for name in files if os.path.dirname(name) == directory]
        for first in range(0, len(here), AT_ONCE):
            paths = here[first : first + AT_ONCE]
            try:
                tools.run(["mcopy", "-Q", "-i", area, *paths, f"::/{directory}"], env=env)
            except tools.ToolError as error:
                if "full" not in error.output.lower():
                    raise
                raise _too_small(spec, place) from None
    sparse_copy.copy_into(area, image, place)
    os.unlink(area)


def _too_small(spec: FsSpec, place: Place) -> StageError:
    wanted = need(spec, 0)
    return StageError(
        f"{spec.file_system.mountpoint} does not fit: {human(place.size)} are about "
        f"{human(max(wanted - place.size, MIB))} too little for its FAT",
        f"make the partition {-(-wanted // MIB) + 1} MiB or larger",
    )


def volume_id(text: str) -> str:
    """The eight hexadecimal digits of a volume ID, from "1234-ABCD" or a UUID's first eight."""
    digits = text.replace("-", "")[:8]
    if len(digits) != 8:
        digits = uuid.uuid5(uuid.NAMESPACE_OID, text).hex[:8]
    return digits.upper()


def entries(tree: str, name_of_tree: str = "") -> tuple[list[str], list[str]]:
    """Sorted paths of directories and files below `tree`. Raises StageError for files that FAT cannot hold.

    name_of_tree: what messages say in front of the paths.
    """
    directories: list[str] = []
    files: list[str] = []
    for path, names, others in os.walk(tree):
        inside = os.path.relpath(path, tree)
        seen: dict[str, str] = {}
        for name in sorted(names + others):
            full = os.path.normpath(os.path.join(inside, name))
            kind = stat.S_IFMT(devices.lstat(os.path.join(path, name)).st_mode)
            _check(os.path.join(name_of_tree, full), name, kind, seen)
            (directories if kind == stat.S_IFDIR else files).append(full)
    return sorted(directories), sorted(files)


def _check(full: str, name: str, kind: int, seen: dict[str, str]) -> None:
    shown = full.encode("utf-8", "backslashreplace").decode()
    if kind not in (stat.S_IFDIR, stat.S_IFREG):
        raise StageError(f"FAT holds files and directories only, and {shown} is neither", "choose another file system")
    if set(name) & FORBIDDEN or any(ord(c) < 32 or 0xDC80 <= ord(c) <= 0xDCFF for c in name) or name[-1] in " .":
        raise StageError(f"FAT cannot have a file called {shown!r}", "rename it, or choose another file system")
    if name.lower() in seen:
        raise StageError(f"FAT treats {seen[name.lower()]} and {name} as the same name: {shown}", "rename one of them")
    seen[name.lower()] = name
