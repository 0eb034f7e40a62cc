"""Stub programs, bind-mounted over real ones while packages are configured.

Two programs are called by many packages but need to run only once: their stubs record the arguments, and afterwards
the real program runs, if it was called at all. The third, ischroot, does not recognise the sandbox as a chroot, so that
scripts would try to restart services; its stub says yes. Stubs are bind mounts in the nested sandbox, so the tree does
not change.
"""

import os
from collections.abc import Sequence

from stagelib import chroot, tree_paths
from stagelib.apt import shared

INITRAMFS = "/usr/sbin/update-initramfs"
CERTIFICATES = "/usr/sbin/update-ca-certificates"
CHROOTED = "/usr/bin/ischroot"

YES = "#!/bin/sh\nexit 0\n"
NOTE = """#!/bin/sh
case "$*" in --version | -h | --help) exec {real} "$@" ;; esac  # hooks ask this to identify the program
echo "$*" >> {calls}
echo "{name} $*: deferred until all packages are configured"
"""


def prepare(work: str) -> None:
    """Make the stubs in the stage's empty working directory, before any program runs in the tree."""
    made = {}
    for program in (INITRAMFS, CERTIFICATES):
        name = os.path.basename(program)
        made[name] = NOTE.format(calls=f"{shared.SHARED}/calls/{name}", name=name, real=f"{shared.SHARED}/{name}.real")
    shared.prepare(work, {**made, os.path.basename(CHROOTED): YES})


def binds(tree: str, work: str) -> list[chroot.Bind]:
    """The mounts over the tree's programs while packages are configured; work is the stage's working directory.

    Only over programs that the tree has now: no mount point may be created in it.
    """
    found: list[chroot.Bind] = []
    for program in (INITRAMFS, CERTIFICATES, CHROOTED):
        if tree_paths.is_file(tree, program) and tree_paths.inside(tree, program) == program[1:]:
            name = os.path.basename(program)
            found += shared.stub_binds(work, name, tree_paths.resolve(tree, program), program)
    return found


def calls(work: str, program: str) -> list[str]:
    """The arguments of each call of the program, in order. Raises StageError."""
    return shared.calls(work, os.path.basename(program))


def initramfs(lines: Sequence[str]) -> list[list[str]]:
    """The commands that have the effect of all these calls of update-initramfs.

    Calls that delete an image or write one outside of /boot are repeated verbatim.
    """
    special, making = [], set()
    for line in lines:
        words = line.replace("-b /boot", "").split()
        if "-d" in words or "-b" in words:
            special.append([INITRAMFS, *words])
        else:
            making.update({"-c", "-u"}.intersection(words))
    if making:
        special.append([INITRAMFS, "-c" if "-c" in making else "-u", "-k", "all"])
    return special


def certificates(lines: Sequence[str]) -> list[list[str]]:
    """The commands that have the effect of all these calls of update-ca-certificates."""
    fresh = any("--fresh" in line.split() for line in lines)
    return [[CERTIFICATES, *(["--fresh"] if fresh else [])]] if lines else []
