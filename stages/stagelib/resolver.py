"""How names are resolved in the tree while one of its programs has the network: as in the stage itself."""

import os
import posixpath
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stagelib import chroot, tree_paths

PATH = "/etc/resolv.conf"
MOST_LINKS = 10


@contextmanager
def in_tree(tree: str) -> Iterator[Sequence[chroot.Bind]]:
    """Inside the block, the tree's /etc/resolv.conf, which is made if need be, is the stage's with the binds given.

    A tree that has none has none afterwards, unless a program wrote another.
    """
    if not os.path.exists(PATH):
        yield ()
        return
    place = _place(tree)
    if place is None and tree_paths.lookup(tree, PATH, follow_last=False) is None:
        tree_paths.write_file(tree, PATH, "")
        yield (chroot.Bind(PATH, PATH),)
        found = tree_paths.lookup(tree, PATH, follow_last=False)
        if found is not None and stat.S_ISREG(found.st_mode) and not found.st_size:
            tree_paths.remove(tree, PATH)
    else:
        yield (chroot.Bind(PATH, place),) if place else ()


def _place(tree: str) -> str | None:
    """The file that the tree's programs read: one that the tree has, or one in the /run that they see."""
    path = PATH
    for _ in range(MOST_LINKS):
        if path.startswith("/run/"):
            return path
        found = tree_paths.lookup(tree, path, follow_last=False)
        if found is None:
            return None
        if not stat.S_ISLNK(found.st_mode):
            return path if stat.S_ISREG(found.st_mode) else None
        target = os.readlink(tree_paths.resolve(tree, path, follow_last=False))
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return None
