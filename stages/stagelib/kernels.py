"""The kernels of a Debian tree."""

import re
import subprocess

from stagelib import lookup

KERNEL = re.compile(r"vmlinuz-([0-9A-Za-z.+~_-]+)")


def versions(tree: str) -> list[str]:
    """The versions of the kernels in the tree's /boot, newest first."""
    found = [match[1] for name in lookup.names(tree, "boot") if (match := KERNEL.fullmatch(name))]
    order = subprocess.run(["sort", "-rV"], input="\n".join(found), capture_output=True, text=True, check=True)
    return order.stdout.split()
