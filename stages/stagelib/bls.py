"""Boot entries: /boot/loader/entries/*.conf of the Boot Loader Specification."""

import re

from stagelib import intree, lookup

ENTRIES = "/boot/loader/entries"
# kernel-install asks grub2-mkrelpath where /boot is in its file system, and that answers by the mounts of the build
# machine: "/some/where/boot/vmlinuz-6.1". Greedy, so that the last /boot counts.
PATH = re.compile(r"^((?:linux|initrd|devicetree)[ \t]+)(?:/\S*)?/boot(?=/)", re.MULTILINE)

# What /proc/cmdline says while packages are installed, from which kernel-install takes the options when there is no
# /etc/kernel/cmdline. osbuild's value.
UNKNOWN_ROOT = "root=/dev/osbuild"
OPTIONS = re.compile(rf"^(options[ \t]+){re.escape(UNKNOWN_ROOT)}[ \t]*$", re.MULTILINE)


def set_prefix(tree: str, prefix: str) -> None:
    """Have all entries name their files below `prefix`: "/boot", or "" where /boot is a file system of its own."""
    for name in _names(tree):
        path = f"{ENTRIES}/{name}"
        before = intree.read_text(tree, path)
        after = PATH.sub(lambda match: match[1] + prefix, before)
        if after != before:
            intree.write_file(tree, path, after)


def set_arguments(tree: str, arguments: str) -> None:
    """Give the kernel's `arguments` to the entries that were made without knowing the root file system."""
    for name in _names(tree):
        path = f"{ENTRIES}/{name}"
        before = intree.read_text(tree, path)
        after = OPTIONS.sub(lambda match: match[1] + arguments, before)
        if after != before:
            intree.write_file(tree, path, after)


def _names(tree: str) -> list[str]:
    return [name for name in lookup.names(tree, ENTRIES) if name.endswith(".conf")]
