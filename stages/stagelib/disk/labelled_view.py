"""A sorted, labelled view of the tree, with device nodes, for mkfs programs that read a directory.

An overlay with the changes in memory, where a user namespace may set security.selinux: on its own tmpfs. The kernel
copies a file with its data when its attributes are set, so the tree must fit into memory: copying only the inode
(metacopy, Documentation/filesystems/overlayfs.rst) is not possible in a user namespace.
"""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from stagelib import devices, removal, selinux
from stagelib.devices import Device
from stagelib.disk import archive, labels, sizes, stand_ins, tools
from stagelib.disk.tree_parts import mounted
from stagelib.errors import StageError

NEW = ".arranged"
SPARE = 256 * sizes.MIB  # memory to leave for the mkfs program

_ESCAPED = re.compile(r"\\([0-7]{3})")  # mountinfo, proc(5)


@dataclass(frozen=True)
class View:
    """A directory to make a file system from, and its devices by path ("/dev/sda"), which have stand-ins in it."""

    path: str
    devices: Mapping[str, Device] = field(default_factory=dict)


@contextmanager
def labelled(tree: str, at: str, directory: str, work: str, *, stand_in: int = stat.S_IFCHR) -> Iterator[View]:
    """Show `directory`, which is the tree's `at`, with SELinux labels, sorted attributes and stand-ins of device nodes.

    It is `directory` itself when no file has or gets a label, or has several attributes. stand_in: see stand_ins.shown.
    """
    wanted = labels.of_tree(tree, at)
    nodes = devices.placeholders(directory)
    if not wanted and not _matters(directory):
        with stand_ins.shown(directory, nodes, wanted, work, kind=stand_in):
            yield View(directory, nodes)
        return
    with shown(directory, wanted, work) as path, stand_ins.shown(path, nodes, wanted, work, kind=stand_in):
        yield View(path, nodes)


@contextmanager
def shown(directory: str, wanted: Mapping[str, str], work: str) -> Iterator[str]:
    """Show `directory` (a path without commas and colons) with the `wanted` labels on its files.

    wanted: labels as labels.of_tree() returns them. Directories are listed in an order that depends only on the names.
    The record of labels is left out, and placeholders of device nodes are empty files without their attribute. work: a
    directory to mount in. Raises StageError when this machine cannot do it.
    """
    top = os.path.join(work, "view")
    os.makedirs(top, exist_ok=True)
    with mounted(["-t", "tmpfs", "-o", "mode=0700,size=100%,nosuid,nodev", "view"], top):
        for name in ("upper", "work", "merged"):
            os.mkdir(os.path.join(top, name))
        merged = os.path.join(top, "merged")
        with mounted(_overlay(directory, top), merged):  # fails on a kernel without overlayfs
            for path in _mounted_below(directory):
                _replace(os.path.join(directory, path), os.path.join(merged, path))
            try:
                _arrange(merged, directory, wanted)
            except OSError as error:
                raise _impossible(f"{error.strerror}: {_name(error.filename, merged)}") from None
            yield os.path.join(merged, NEW)


@contextmanager
def copied(directory: str, wanted: Mapping[str, str], work: str) -> Iterator[str]:
    """The same as a copy in memory, whose inode numbers depend only on the names, too."""
    top = os.path.join(work, "copy")
    os.mkdir(top)
    need, free = sizes.with_holes(directory) + SPARE, _memory()
    if need > free:
        raise StageError(f"a copy needs {sizes.human(need)} of memory, there are {sizes.human(free)}")
    with mounted(["-t", "tmpfs", "-o", "mode=0755,size=100%,nosuid,nodev", "copy"], top):
        packed = os.path.join(work, "copy.tar")
        archive.make_all({None: packed}, directory, wanted=wanted, with_devices=False)
        unpack = ["tar", "--extract", f"--file={packed}", f"--directory={top}", "--preserve-permissions"]
        tools.run([*unpack, "--numeric-owner", "--same-owner", "--xattrs", "--xattrs-include=*", "--acls"])
        os.unlink(packed)
        yield top


def _matters(directory: str) -> bool:
    """Whether a file has a label of this machine, or several attributes, whose order depends on it."""
    for above, directories, files in os.walk(os.fsencode(directory)):
        for name in (b"", *directories, *files):
            found = os.listxattr(os.path.join(above, name), follow_symlinks=False)
            if len(found) > 1 or labels.XATTR in found:
                return True
    return False


def _overlay(directory: str, top: str) -> list[str]:
    """The arguments of mount(8)."""
    need, free = sizes.of_tree(directory).data + SPARE, _memory()
    if need > free:
        raise _impossible(f"that needs {sizes.human(need)} of memory, there are {sizes.human(free)}")
    options = f"nosuid,nodev,userxattr,lowerdir={directory},upperdir={top}/upper,workdir={top}/work"
    return ["-t", "overlay", "-o", options, "overlay"]


def _mounted_below(directory: str) -> list[str]:
    """The mount points in `directory`, which overlays do not show."""
    inside = os.path.realpath(directory) + "/"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [_ESCAPED.sub(lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in file]
    return sorted({point.removeprefix(inside) for point in points if point.startswith(inside)})


def _replace(source: str, target: str) -> None:
    """Replace `target` by a copy of `source`: an empty directory or a file."""
    if os.path.isdir(source):
        removal.remove_tree(target)
        os.mkdir(target)
    else:
        os.unlink(target)
        shutil.copyfile(source, target)
    _same(source, target)


def _same(source: str, target: str) -> None:
    """Give `target` the owner, mode, times and attributes of `source`."""
    info = os.stat(source)
    os.chown(target, info.st_uid, info.st_gid)
    shutil.copystat(source, target)


def _impossible(why: str) -> StageError:
    return StageError(
        f"the files cannot be shown in order with their SELinux labels: {why}",
        "use ext4, xfs or tar, which need nothing of the kernel, or build as root",
    )


def _memory() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        found = dict(line.split(":") for line in file)
    return int(found["MemAvailable"].split()[0]) * sizes.KIB


def _arrange(merged: str, directory: str, wanted: Mapping[str, str]) -> None:
    """Move everything into new directories, which list the newest first; the old ones list as the lower layer does.

    merged: the overlay of `directory`; the new top is merged/NEW.
    """
    known: dict[tuple[int, int], str] = {}
    directories = [""]
    todo = [""]
    os.mkdir(os.path.join(merged, NEW))
    while todo:
        above = todo.pop()
        names = sorted(os.fsdecode(name) for name in os.listdir(os.fsencode(merged + above)))
        for name in reversed(names):
            path = f"{above}/{name}"
            if path in (f"/{NEW}", f"/{selinux.RECORD}"):
                continue
            target = f"{merged}/{NEW}{path}"
            info = os.lstat(merged + path)
            if stat.S_ISDIR(info.st_mode):
                os.mkdir(target)
                directories.append(path)
                todo.append(path)
                continue
            first = known.setdefault((info.st_dev, info.st_ino), target) if info.st_nlink > 1 else target
            if first != target:
                os.link(first, target, follow_symlinks=False)  # moving one name would not move the others
                continue
            _label(merged + path, path, wanted)
            os.rename(merged + path, target)
    for path in reversed(directories):
        target = f"{merged}/{NEW}{path}"
        _same(directory + path, target)
        _label(target, path or "/", wanted)


def _label(path: str, name: str, wanted: Mapping[str, str]) -> None:
    """Set a file's label, and its attributes sorted by name; a file without them is only copied."""
    info = os.lstat(path)
    placeholder = stat.S_ISREG(info.st_mode) and devices.of_file(path, info)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)
    if placeholder:
        with suppress(OSError):  # a file system in memory may have dropped it
            os.removexattr(path, devices.XATTR)
    found = sorted(os.listxattr(path, follow_symlinks=False))
    if name in wanted and not found:
        os.setxattr(path, labels.XATTR, labels.value(wanted[name]), follow_symlinks=False)
    if not found:
        return
    values = {one: os.getxattr(path, one, follow_symlinks=False) for one in found if not one.startswith("system.")}
    values.pop(labels.XATTR, None)
    if name in wanted:
        values[labels.XATTR] = labels.value(wanted[name])
    for one in values.keys() | ({labels.XATTR} & set(found)):
        with suppress(PermissionError):  # where SELinux is active, labels cannot be removed
            if one in found:
                os.removexattr(path, one, follow_symlinks=False)
    for one, value in sorted(values.items()):
        os.setxattr(path, one, value, follow_symlinks=False)


def _name(path: str | None, merged: str) -> str:
    return (path or "").removeprefix(merged) or "/"
