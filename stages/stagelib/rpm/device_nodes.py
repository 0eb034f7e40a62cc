"""Device nodes of RPM packages: rpm may not make them, so it skips them, and placeholders are made afterwards.

Layout of a package: rpm's docs/manual/format_v4.md. Numbers are big-endian.
"""

import os
import stat
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from stagelib import accounts, devices, tree_paths
from stagelib.devices import Device
from stagelib.dnf import command, sandbox
from stagelib.dnf.config import PrivateHome

LEAD, INTRO, ENTRY = 96, 16, 16
MAGIC = b"\x8e\xad\xe8\x01"
LARGEST = 256 << 20  # bytes of a header; rpm's own limit
MOST = 1_000_000  # files of a package
INT16, INT32, STRING, STRINGS = 3, 4, 6, 8
# Tags, rpm's include/rpm/rpmtag.h.
PACKAGE = (1000, 1001, 1002, 1022)  # name, version, release, architecture
MODES, NUMBERS, TIMES, FLAGS, USERS, GROUPS = 1030, 1033, 1034, 1037, 1039, 1040
DIRECTORY_OF, NAMES, DIRECTORIES = 1116, 1117, 1118
GHOST = 1 << 6
MOUNTED = ("/dev/", "/proc/", "/sys/")  # rpm writes nothing there anyway


@dataclass(frozen=True)
class Node:
    """A device node of a package: its path, permission bits, the names of its owner and group, and time in seconds.

    package: name-version-release.arch.
    """

    package: str
    path: str
    device: Device
    mode: int
    user: str
    group: str
    mtime: int


def of_packages(paths: Iterable[str]) -> list[Node]:
    """The device nodes of these package files; of one that cannot be read, none, since rpm says what is wrong."""
    return [node for path in paths for node in _of_package(path)]


def _of_package(path: str) -> list[Node]:
    try:
        with open(path, "rb") as file:
            file.seek(LEAD)
            for is_signature in (True, False):
                magic, count, size = struct.unpack(">4s4xII", file.read(INTRO))
                if magic != MAGIC or count * ENTRY + size > LARGEST:
                    return []
                index, store = file.read(count * ENTRY), file.read(size)
                if is_signature:
                    file.seek(-size % 8, os.SEEK_CUR)
        return _nodes(index, store)
    except (OSError, ValueError, KeyError, IndexError, struct.error):
        return []


def _nodes(index: bytes, store: bytes) -> list[Node]:
    tags = {tag: (kind, offset, count) for tag, kind, offset, count in struct.iter_unpack(">IIII", index)}
    if NUMBERS not in tags:
        return []
    _, offset, count = tags[NUMBERS]
    if not store[offset : offset + 2 * count].strip(b"\0"):  # as in nearly every package
        return []
    numbers = _integers(store, tags[NUMBERS])
    name, version, release, architecture = (_strings(store, tags[tag])[0] for tag in PACKAGE)
    package = f"{name}-{version}-{release}.{architecture}"
    modes, times, flags, above = (_integers(store, tags[tag]) for tag in (MODES, TIMES, FLAGS, DIRECTORY_OF))
    names, directories, users, groups = (_strings(store, tags[tag]) for tag in (NAMES, DIRECTORIES, USERS, GROUPS))
    found = []
    for number, mode in enumerate(modes):
        kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(mode))
        path = directories[above[number]] + names[number]
        if kind and not flags[number] & GHOST and not path.startswith(MOUNTED):
            device = Device(kind, numbers[number] >> 8, numbers[number] & 0xFF)
            found.append(Node(package, path, device, stat.S_IMODE(mode), users[number], groups[number], times[number]))
    return found


def _integers(store: bytes, entry: tuple[int, int, int]) -> tuple[int, ...]:
    kind, offset, count = entry
    if count > MOST:
        raise ValueError(count)
    letter = {INT16: "H", INT32: "I"}[kind]
    return struct.unpack_from(f">{count}{letter}", store, offset)


def _strings(store: bytes, entry: tuple[int, int, int]) -> list[str]:
    kind, offset, count = entry
    if kind not in (STRING, STRINGS):
        raise ValueError(kind)
    return [os.fsdecode(text) for text in store[offset:].split(b"\0", count)[:count]]


def skipped(nodes: Iterable[Node]) -> str:
    """The value for rpm's macro %_netsharedpath that makes it skip the nodes, with a colon in front of each."""
    # A colon would end the path, and a per cent sign begin a macro.
    return "".join(f":{node.path}" for node in nodes if not set(node.path) & set(":%\n"))


def of_installed(tree: str, home: PrivateHome, nodes: Sequence[Node]) -> list[Node]:
    """Those of the nodes whose packages the tree has."""
    there = set()
    for package in sorted({node.package for node in nodes}):
        argv = sandbox.command(tree, home, sandbox.Visible(), ["rpm", f"--root={tree}", "--query", package])
        if command.run(argv, home, quiet=True).status == 0:
            there.add(package)
    return [node for node in nodes if node.package in there]


def make_placeholders(tree: str, nodes: Iterable[Node]) -> None:
    """Make the placeholders of the nodes in the tree after their packages were installed.

    An owner that the tree does not have is root, as with rpm. Raises OSError.
    """
    users = {name: one.uid for name, one in accounts.users(tree).items()}
    groups: Mapping[str, int] = accounts.groups(tree)
    for node in nodes:
        above = os.path.dirname(node.path)
        if not tree_paths.exists(tree, above):
            tree_paths.make_dirs(tree, above)
        with tree_paths.parent(tree, node.path) as (directory, name):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)  # of an older version
            fd = devices.make_placeholder(name, node.device, directory=directory)
            try:
                os.fchown(fd, users.get(node.user, 0), groups.get(node.group, 0))
                os.fchmod(fd, node.mode)
                os.utime(fd, (node.mtime, node.mtime))
            finally:
                os.close(fd)
