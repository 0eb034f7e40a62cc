"""Questions about what the tree has."""

import os

from stagelib import intree
from stagelib.stage import StageError

PROGRAM_DIRS = ("usr/bin", "usr/sbin", "bin", "sbin")


def has_program(tree: str, name: str) -> bool:
    """Whether the tree has the program `name` in one of the usual directories."""
    return any(intree.exists(tree, f"{directory}/{name}") for directory in PROGRAM_DIRS)


def need_program(tree: str, name: str, package: str) -> None:
    """Raise StageError unless the tree has the program `name`; `package` says what to install for it."""
    if not has_program(tree, name):
        raise StageError(f"the tree has no `{name}`", f"install {package} in an earlier stage")


def is_symlink(tree: str, path: str) -> bool:
    """Whether a symlink, dangling or not, stands at `path`."""
    return os.path.islink(intree.resolve(tree, path, follow_last=False))


def is_dir(tree: str, path: str) -> bool:
    """Whether `path` is a directory, symlinks followed inside the tree."""
    return os.path.isdir(intree.resolve(tree, path))


def names(tree: str, path: str) -> list[str]:
    """The sorted names in the directory `path`; [] when it is not there."""
    host = intree.resolve(tree, path)
    return sorted(os.listdir(host)) if os.path.isdir(host) else []


def text(tree: str, path: str) -> str | None:
    """The text of the file `path`, or None when it is not there. Raises UnicodeDecodeError, OSError."""
    return intree.read_text(tree, path) if os.path.isfile(intree.resolve(tree, path)) else None
