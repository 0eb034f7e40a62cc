"""Trees as stacks of layers mounted with overlayfs: made in milliseconds, whatever their size."""

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from runner.sandbox import syscalls
from runner.store.layer import clamp_times, clock_ns, list_contents, make_root
from runner.store.scratch import Scratch
from runner.tree import Change, WritableTree

OPAQUE_XATTR = "user.overlay.opaque"  # as the mount option userxattr says


class OverlayTrees:
    """Trees as overlay mounts of the layers unpacked in scratch. Scratch must be the current directory."""

    background = True

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch

    def works(self) -> bool:
        """Whether overlays can be mounted here and support what stages do; it tries an empty one."""
        with self._scratch.temporary() as work:
            return works_in(work, self._scratch.root)

    def ensure(self, key: str) -> None:
        """See Trees."""
        self._scratch.ensure(key, OPAQUE_XATTR)

    @contextlib.contextmanager
    def reading(self, stack: tuple[str, ...]) -> Iterator[Path]:
        """See Trees."""
        lowers = self._lowers(stack)
        with self._scratch.temporary() as work:
            if not lowers:
                make_root(work / "empty")
                yield work / "empty"
            elif len(lowers) == 1:  # an overlay needs two
                yield lowers[0]
            else:
                with self._mounted(lowers, work / "tree") as tree:
                    yield tree

    @contextlib.contextmanager
    def writing(self, stack: tuple[str, ...], key: str, epoch: int) -> Iterator[WritableTree]:
        """See Trees."""
        lowers = self._lowers(stack)
        with self._scratch.temporary() as work:
            upper = work / "upper"
            make_root(upper)
            if lowers:
                shutil.copystat(lowers[-1], upper)  # the root directory is as in the topmost layer
            started_ns = clock_ns()
            with contextlib.ExitStack() as mounts:
                tree = upper
                if lowers:
                    (work / "work").mkdir()
                    tree = mounts.enter_context(self._mounted(lowers, work / "tree", upper, work / "work"))
                writing = WritableTree(tree)
                yield writing
            contents = list_contents(upper, lowest=not lowers)
            clamp_times(upper, contents.entries, started_ns, epoch)
            self._scratch.keep(upper, key, contents.size)
            writing.change = Change(self._scratch.path(key), contents)

    def _lowers(self, stack: Sequence[str]) -> list[Path]:
        return [self._scratch.ensure(key, OPAQUE_XATTR) for key in stack]

    def _mounted(
        self, lowers: Sequence[Path], target: Path, upper: Path | None = None, work: Path | None = None
    ) -> AbstractContextManager[Path]:
        return _mounted(self._scratch.root, lowers, target, upper, work)


def works_in(work: Path, root: Path) -> bool:
    """Whether overlays can be mounted in the empty directory `work` and support what stages do; it tries one.

    root, which contains it, must be the current directory.
    """
    for name in ("lower", "lower/gone", "upper", "work"):
        (work / name).mkdir()
    try:
        with _mounted(root, [work / "lower"], work / "tree", work / "upper", work / "work") as tree:
            # Replacing a directory of a lower layer sets an extended attribute on the new one.
            (tree / "gone").rmdir()
            (tree / "gone").mkdir()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _mounted(root: Path, lowers: Sequence[Path], target: Path, upper: Path | None, work: Path | None) -> Iterator[Path]:
    """Mount layers (lowest first) at `target`; read-only without `upper`. Raises OSError.

    All of them are beneath root, the current directory: mount options are limited to a page, and short names let long
    stacks fit.
    """
    target.mkdir()
    options = ["lowerdir=" + ":".join(str(path.relative_to(root)) for path in reversed(lowers))]
    if upper and work:
        options += [f"upperdir={upper.relative_to(root)}", f"workdir={work.relative_to(root)}"]
    options += ["userxattr"]  # the kernel's own attributes are out of reach in a user namespace
    flags = syscalls.MS_NODEV | syscalls.MS_NOSUID
    syscalls.mount("overlay", str(target), "overlay", flags, ",".join(options))
    try:
        yield target
    finally:
        _unmount(target)


def _unmount(target: Path) -> None:
    """Unmount, even if a process still has a file open there."""
    try:
        syscalls.unmount(str(target))
    except OSError:
        syscalls.unmount(str(target), syscalls.MNT_DETACH)
    with contextlib.suppress(OSError):
        os.rmdir(target)
