"""Stub programs, bind-mounted over real ones while packages are configured.

Two programs are called by many packages but need to run only once: their stubs record the arguments, and afterwards
the real program runs, if it was called at all. The third, ischroot, does not recognise the sandbox as a chroot, so that
scripts would try to restart services; its stub says yes. Stubs are bind mounts in the nested sandbox, so the tree does
not change.
"""

import os
import shutil
from collections.abc import Sequence

from stagelib import chroot, tree_paths

SHARED = "/run/osbuild-compose"  # where the stage's working directory is mounted in the tree
INITRAMFS = "/usr/sbin/update-initramfs"
CERTIFICATES = "/usr/sbin/update-ca-certificates"
CHROOTED = "/usr/bin/ischroot"

YES = "#!/bin/sh\nexit 0\n"
NOTE = """#!/bin/sh
case "$*" in --version | -h | --help) exec {real} "$@" ;; esac  # hooks ask this to identify the program
echo "$*" >> {calls}
echo "{name} $*: deferred until all packages are configured"
"""


def binds(tree: str, work: str) -> list[chroot.Bind]:
    """The mounts over the tree's programs while packages are configured; work is the stage's working directory.

    Only over programs that the tree has now: no mount point may be created in it.
    """
    found = []
    for program in (INITRAMFS, CERTIFICATES, CHROOTED):
        if not os.path.isfile(real := os.path.join(tree, program[1:])) or tree_paths.resolve(tree, program) != real:
            continue
        name = os.path.basename(program)
        os.makedirs(f"{work}/calls", exist_ok=True)
        shutil.copy(real, f"{work}/{name}.real")
        with open(f"{work}/{name}", "w", encoding="utf-8") as script:
            note = NOTE.format(calls=f"{SHARED}/calls/{name}", name=name, real=f"{SHARED}/{name}.real")
            script.write(YES if program == CHROOTED else note)
            os.fchmod(script.fileno(), 0o755)
        found.append(chroot.Bind(f"{work}/{name}", program))
    return found


def calls(work: str, program: str) -> list[str]:
    """The arguments of each call of the program, in order."""
    try:
        with open(f"{work}/calls/{os.path.basename(program)}", encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


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
