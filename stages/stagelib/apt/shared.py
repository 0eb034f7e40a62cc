"""What the tree's dpkg and packages' scripts see of the stage, in SHARED, and what they report.

All of it is read-only for them, but for one file for each stub, which is mounted by itself: it can be filled with
anything, but nothing can be put in its place. The files are in a directory of the stage that is not in their sandbox.
"""

import contextlib
import os
from collections.abc import Iterator

from stagelib import chroot, tree_paths
from stagelib.errors import StageError

SHARED = "/run/osbuild-compose"
# Without this file scripts of mail servers believe that the host has no domain, and call it UNKNOWN. It is empty.
RESOLVER = "/etc/resolv.conf"
MOST_CALLS = 1 << 20  # bytes that scripts may report


def prepare(work: str, stubs: dict[str, str]) -> None:
    """Fill the empty directory `work`: for archives, and the stubs' texts by their names."""
    for name in ("archives", "stubs", "calls"):
        os.mkdir(f"{work}/{name}")
    open(f"{work}/resolver", "x", encoding="utf-8").close()
    for name, text in stubs.items():
        with open(f"{work}/stubs/{name}", "x", encoding="utf-8") as script:
            script.write(text)
            os.fchmod(script.fileno(), 0o755)
        open(f"{work}/calls/{name}", "x", encoding="utf-8").close()


def archives(work: str) -> str:
    """The directory whose files dpkg sees in SHARED/archives."""
    return f"{work}/archives"


def binds(tree: str, work: str) -> Iterator[chroot.Bind]:
    """The mounts for unpacking and configuring: the archives, and what RESOLVER leads to when it is a link into /run,
    which is empty in the sandbox."""
    yield chroot.Bind(archives(work), f"{SHARED}/archives")
    with contextlib.suppress(OSError):  # a loop, for instance
        target = "/" + tree_paths.inside(tree, RESOLVER)
        if target.startswith("/run/") and not target.startswith(SHARED):
            yield chroot.Bind(f"{work}/resolver", target)


def stub_binds(work: str, name: str, real: str, program: str) -> Iterator[chroot.Bind]:
    """The mounts of a stub over the tree's `program`, whose host path is `real`."""
    yield chroot.Bind(real, f"{SHARED}/{name}.real")
    yield chroot.Bind(f"{work}/stubs/{name}", program)
    yield chroot.Bind(f"{work}/calls/{name}", f"{SHARED}/calls/{name}", writable=True)


def calls(work: str, name: str) -> list[str]:
    """The arguments of each call of the stub, in order. Raises StageError for more than stubs write."""
    with open(f"{work}/calls/{name}", "rb") as file:
        data = file.read(MOST_CALLS + 1)
    if len(data) > MOST_CALLS:
        raise StageError(f"packages' scripts reported more than {MOST_CALLS} bytes of calls of {name}")
    return data.decode("utf-8", "replace").splitlines()
