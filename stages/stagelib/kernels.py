"""The kernels in a tree's /boot, by version."""

import re
import subprocess
from collections.abc import Iterable

from stagelib import tree_paths

KERNEL = re.compile(r"vmlinuz-([0-9A-Za-z.+~_-]+)")


def versions(tree: str) -> list[str]:
    """The versions of the kernels in the tree's /boot, newest first."""
    return newest_first(match[1] for name in tree_paths.list_names(tree, "boot") if (match := KERNEL.fullmatch(name)))


def newest_first(found: Iterable[str]) -> list[str]:
    """The versions in the order of sort(1) -V, the newest first."""
    order = subprocess.run(["sort", "-rV"], input="\n".join(found), capture_output=True, text=True, check=True)
    return order.stdout.split()
