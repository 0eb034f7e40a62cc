"""How names are resolved in the tree while one of its programs has the network: as in the stage itself."""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stagelib import chroot, tree_paths

PATH = "/etc/resolv.conf"


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
        place = _place(tree)
        yield (chroot.Bind(PATH, place),) if place else ()
        found = tree_paths.lookup(tree, PATH, follow_last=False)
        if found is not None and stat.S_ISREG(found.st_mode) and not found.st_size:
            tree_paths.remove(tree, PATH)
    else:
        yield (chroot.Bind(PATH, place),) if place else ()


def _place(tree: str) -> str | None:
    """The file that the tree's programs read: one that the tree has, or one in the /run that they see.

    Its path has no symlinks, which mounting would follow out of the tree.
    """
    try:
        path = f"/{tree_paths.inside(tree, PATH)}"
        found = tree_paths.lookup(tree, path, follow_last=False)
    except OSError:  # a loop, for instance
        return None
    return path if path.startswith("/run/") or (found is not None and stat.S_ISREG(found.st_mode)) else None
