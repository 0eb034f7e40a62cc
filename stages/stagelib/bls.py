"""Boot loader entries, loader/entries/*.conf.

https://uapi-group.org/specifications/specs/boot_loader_specification
"""

import re

from stagelib import tree_paths

ENTRIES = "/boot/loader/entries"
# kernel-install asks grub2-mkrelpath for the path of /boot in its file system, and the answer depends on the mounts of
# the build machine: "/some/where/boot/vmlinuz-6.1". Greedy, so that the last /boot matches.
PATH = re.compile(r"^((?:linux|initrd|devicetree)[ \t]+)(?:/\S*)?/boot(?=/)", re.MULTILINE)

# The content of /proc/cmdline while packages are installed: kernel-install takes the options from it if there is no
# /etc/kernel/cmdline. The value is osbuild's.
UNKNOWN_ROOT = "root=/dev/osbuild"
OPTIONS = re.compile(rf"^(options[ \t]+){re.escape(UNKNOWN_ROOT)}[ \t]*$", re.MULTILINE)


def set_prefix(tree: str, prefix: str) -> None:
    """Set the directory of the files in all entries to `prefix`: "/boot", or "" if /boot is a separate file system."""
    for name in _names(tree):
        path = f"{ENTRIES}/{name}"
        before = tree_paths.read_text(tree, path)
        after = PATH.sub(lambda match: match[1] + prefix, before)
        if after != before:
            tree_paths.write_file(tree, path, after)


def set_arguments(tree: str, arguments: str) -> None:
    """Set the kernel's `arguments` in entries that were created without knowing the root file system."""
    for name in _names(tree):
        path = f"{ENTRIES}/{name}"
        before = tree_paths.read_text(tree, path)
        after = OPTIONS.sub(lambda match: match[1] + arguments, before)
        if after != before:
            tree_paths.write_file(tree, path, after)


def directory(boot: str) -> str:
    """The directory of the entries on the file system mounted at `boot`."""
    return f"{boot}/loader/entries"


def relocate(tree: str, entry: str, mount: str) -> None:
    """Make the paths in the entry relative to the file system mounted at `mount`, as its boot loader sees them."""
    text = tree_paths.read_text(tree, entry)
    pattern = re.compile(rf"^((?:linux|initrd|devicetree)[ \t]+){re.escape(mount)}(?=/)", re.MULTILINE)
    tree_paths.write_file(tree, entry, pattern.sub(r"\1", text))


def _names(tree: str) -> list[str]:
    return [name for name in tree_paths.list_names(tree, ENTRIES) if name.endswith(".conf")]
