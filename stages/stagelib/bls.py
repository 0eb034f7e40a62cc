"""Boot entries, loader/entries/*.conf: https://uapi-group.org/specifications/specs/boot_loader_specification"""

import re

from stagelib import tree_paths

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
        before = tree_paths.read_text(tree, path)
        after = PATH.sub(lambda match: match[1] + prefix, before)
        if after != before:
            tree_paths.write_file(tree, path, after)


def set_arguments(tree: str, arguments: str) -> None:
    """Give the kernel's `arguments` to the entries that were made without knowing the root file system."""
    for name in _names(tree):
        path = f"{ENTRIES}/{name}"
        before = tree_paths.read_text(tree, path)
        after = OPTIONS.sub(lambda match: match[1] + arguments, before)
        if after != before:
            tree_paths.write_file(tree, path, after)


def directory(boot: str) -> str:
    """Where the entries are on the file system that is mounted at `boot`."""
    return f"{boot}/loader/entries"


def relocate(tree: str, entry: str, mount: str) -> None:
    """Have the entry name its files as the file system mounted at `mount` does, for a boot loader that reads that."""
    text = tree_paths.read_text(tree, entry)
    pattern = re.compile(rf"^((?:linux|initrd|devicetree)[ \t]+){re.escape(mount)}(?=/)", re.MULTILINE)
    tree_paths.write_file(tree, entry, pattern.sub(r"\1", text))


def _names(tree: str) -> list[str]:
    return [name for name in tree_paths.names(tree, ENTRIES) if name.endswith(".conf")]
