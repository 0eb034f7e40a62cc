"""File systems whose programs take files out of them: btrfs, erofs and FAT."""

from pathlib import Path

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, OUT, Result, ToolError, Tools
from osbuild_compose.inspecting.tree import Tree
from osbuild_compose.inspecting.trees.directory import DirectoryTree


def btrfs(area: Area, tools: Tools) -> Tree:
    """The files of a btrfs file system, its subvolumes being directories. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["btrfs", "restore", "--symlink", "--snapshots", "--ignore-errors", IMAGE, OUT]
    return _taken_out(tools.run(argv, area.as_file(tools), out), out)


def erofs(area: Area, tools: Tools) -> Tree:
    """The files of an erofs file system. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["fsck.erofs", f"--extract={OUT}/tree", "--no-preserve", IMAGE]
    result = tools.run(argv, area.as_file(tools), out)
    return _taken_out(result, out / "tree")


def fat(area: Area, tools: Tools) -> Tree:
    """The files of a FAT file system. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["mcopy", "-s", "-n", "-Q", "-i", f"{IMAGE}@@{area.offset}", "::/*", OUT]
    result = tools.run(argv, area.path, out)
    nothing = (b"No match", b'"::/*" not found')  # as the version of mtools has it
    if result.status != 0 and any(words in result.stderr for words in nothing):
        return DirectoryTree(out)
    return _taken_out(result, out)


def _taken_out(result: Result, out: Path) -> Tree:
    """What arrived; a program that complains of a part has still taken out the rest."""
    tree = DirectoryTree(out) if out.is_dir() and not out.is_symlink() else None
    if tree is None or (result.status != 0 and len(tree.entries) == 1):
        raise ToolError(result.reason)
    return tree
