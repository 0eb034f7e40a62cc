"""Directories of this machine, and file systems that a program extracts into one: btrfs, erofs and FAT."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import IMAGE, OUT, ToolError, ToolResult, Tools
from osbuild_compose.inspecting.tree import Entry, FileType, Tree


class DirectoryTree(Tree):
    """The files below a directory. Symlinks are read, never followed by this machine's kernel."""

    def __init__(self, top: Path) -> None:
        self._top = top
        super().__init__(_walk(os.fspath(top)))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        # Everything above the last component is a directory, as entries are found by walking, and nothing changes.
        handle = os.open(os.fspath(self._top) + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            return file.read(limit)

    def extract(self, path: str) -> Extent:
        """The file that the walk found at `path`."""
        return Extent.whole(Path(os.fspath(self._top) + path))


def _walk(top: str) -> Iterator[tuple[str, Entry]]:
    todo = [""]
    while todo:
        above = todo.pop()
        try:
            found = list(os.scandir(f"{top}{above}/"))
        except PermissionError:
            continue
        for item in found:
            path = f"{above}/{item.name}"
            status = item.stat(follow_symlinks=False)
            handle = (status.st_dev, status.st_ino)
            if stat.S_ISLNK(status.st_mode):
                yield path, Entry(FileType.SYMLINK, target=os.readlink(item.path), handle=handle)
            elif stat.S_ISDIR(status.st_mode):
                yield path, Entry(FileType.DIRECTORY, handle=handle)
                todo.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield path, Entry(FileType.FILE, status.st_size, handle=handle)
            else:
                device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
                yield path, Entry(FileType.DEVICE if device else FileType.OTHER, handle=handle)


def btrfs(extent: Extent, tools: Tools) -> Tree:
    """The files of a btrfs file system, with subvolumes as directories. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["btrfs", "restore", "--symlink", "--snapshots", "--ignore-errors", IMAGE, OUT]
    return _extracted(tools.run(argv, extent.as_file(tools), out), out)


def erofs(extent: Extent, tools: Tools) -> Tree:
    """The files of an erofs file system. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["fsck.erofs", f"--extract={OUT}/tree", "--no-preserve", IMAGE]
    file = extent.as_file(tools)
    result = tools.run(argv, file, out)
    if result.status != 0 and b"failed to create special file" in result.stderr:
        # It skips device nodes, which no program can make in the sandbox, unless it runs as root.
        out = tools.new_directory()
        result = tools.run(argv, file, out, as_root=False)
    return _extracted(result, out / "tree")


def fat(extent: Extent, tools: Tools) -> Tree:
    """The files of a FAT file system. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["mcopy", "-s", "-n", "-Q", "-i", f"{IMAGE}@@{extent.offset}", "::/*", OUT]
    result = tools.run(argv, extent.path, out)
    empty = (b"No match", b'"::/*" not found')  # depends on the version of mtools
    if result.status != 0 and any(words in result.stderr for words in empty):
        return DirectoryTree(out)
    return _extracted(result, out)


def _extracted(result: ToolResult, out: Path) -> Tree:
    """The tree of the extracted files: a program that failed for some has still extracted the others."""
    tree = DirectoryTree(out) if out.is_dir() and not out.is_symlink() else None
    if tree is None or (result.status != 0 and len(tree.entries) == 1):
        raise ToolError(result.reason)
    return tree
