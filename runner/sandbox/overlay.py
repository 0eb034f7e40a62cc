"""Trees made of stacked layers, mounted with overlayfs."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.errors import environment_error
from runner.sandbox import syscalls


def opaque_xattr(*, user: bool) -> str:
    """The attribute that marks a directory hiding those below: root's overlays and others' use different ones."""
    return "user.overlay.opaque" if user else "trusted.overlay.opaque"


@contextlib.contextmanager
def mounted(
    lowers: Sequence[Path], target: Path, *, upper: Path | None = None, work: Path | None = None, user: bool
) -> Iterator[Path]:
    """Show the layers (lowest first) as one tree at `target`; writes go to `upper`, without one it is read-only.

    The layers must lie in the current directory, since mount options are limited to a page: their names are given
    relative to it. user says that this process is in a user namespace. Raises RunnerError (environment).
    """
    if upper is None and len(lowers) == 1:
        yield lowers[0]
        return
    target.mkdir(exist_ok=True)
    here = Path.cwd()
    names = [str(path.relative_to(here)) for path in reversed(lowers)]
    options = ["lowerdir=" + ":".join(names)]
    if upper is not None and work is not None:
        options += [f"upperdir={upper.relative_to(here)}", f"workdir={work.relative_to(here)}"]
    options += ["userxattr"] if user else ["index=off", "redirect_dir=off", "metacopy=off"]
    try:
        syscalls.mount("overlay", str(target), "overlay", syscalls.MS_NODEV, ",".join(options))
    except OSError as error:
        raise environment_error(
            f"the tree could not be mounted with overlayfs in {here}: {error.strerror}",
            hint="--scratch takes a directory on another file system, for instance on tmpfs, ext4 or xfs",
        ) from None
    try:
        yield target
    finally:
        unmount(target)


def unmount(target: Path) -> None:
    """Unmount, even when something still holds a file open there."""
    try:
        syscalls.unmount(str(target))
    except OSError:
        syscalls.unmount(str(target), syscalls.MNT_DETACH)
    with contextlib.suppress(OSError):
        os.rmdir(target)
