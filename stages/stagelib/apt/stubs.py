"""Programs over which something else lies while packages are configured.

Two are called by many packages and need to run only once: their stand-ins note the arguments, and afterwards the real
program runs, if it was called at all. The third answers whether this is a running system; it looks for a chroot and
does not know our sandbox, so that scripts would try to restart services. A stand-in is a bind mount in the nested
sandbox: the tree itself does not change.
"""

import os
import shutil
from collections.abc import Sequence

from stagelib import chroot, tree_paths

SHARED = "/run/osbuild-compose"  # where the stage's working directory appears in the tree
INITRAMFS = "/usr/sbin/update-initramfs"
CERTIFICATES = "/usr/sbin/update-ca-certificates"
CHROOTED = "/usr/bin/ischroot"

YES = "#!/bin/sh\nexit 0\n"
NOTE = """#!/bin/sh
case "$*" in --version | -h | --help) exec {real} "$@" ;; esac  # asked by hooks that want to know whose program it is
echo "$*" >> {calls}
echo "{name} $*: noted, and done once when all packages are configured"
"""


def binds(tree: str, work: str) -> list[chroot.Bind]:
    """What lies over the tree's programs while packages are configured; work is the stage's working directory.

    Only programs that the tree has at this moment: a mount point must not be made in it.
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
    """The argument lines with which the program was called, in order."""
    try:
        with open(f"{work}/calls/{os.path.basename(program)}", encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def initramfs(lines: Sequence[str]) -> list[list[str]]:
    """The commands that have the effect of all these calls of update-initramfs.

    Deleting one, or making it somewhere else than in /boot, is done as it was called.
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
