"""Boot entries: /boot/loader/entries/*.conf of the Boot Loader Specification."""

import re

from stagelib import intree, lookup

ENTRIES = "/boot/loader/entries"
# kernel-install asks grub2-mkrelpath where /boot is in its file system, and that answers by the mounts of the build
# machine: "/some/where/boot/vmlinuz-6.1". Greedy, so that the last /boot counts.
PATH = re.compile(r"^((?:linux|initrd|devicetree)[ \t]+)(?:/\S*)?/boot(?=/)", re.MULTILINE)


def set_prefix(tree: str, prefix: str) -> int:
    """Have all entries name their files below `prefix`: "/boot", or "" where /boot is a file system of its own.

    Returns how many entries there are.
    """
    names = [name for name in lookup.names(tree, ENTRIES) if name.endswith(".conf")]
    for name in names:
        path = f"{ENTRIES}/{name}"
        before = intree.read_text(tree, path)
        after = PATH.sub(lambda match: match[1] + prefix, before)
        if after != before:
            intree.write_file(tree, path, after)
    return len(names)
