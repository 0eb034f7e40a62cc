"""Files that the tree has while packages are installed.

They keep packages' scripts from starting services and making keys that take long, and let them find the host's names.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from stagelib import host_name, tree_paths
from stagelib.api import phase
from stagelib.apt import dpkg, shared, stubs
from stagelib.packages import secrets

CHECKED = "/usr/share/initramfs-tools/conf.d/compose-file-systems"  # initramfs.conf(5)
ROOT_TYPES = ("ext4", "xfs", "btrfs")
WORDS = {stubs.CERTIFICATES: "list the certificates", stubs.INITRAMFS: "make the initramfs"}
POLICY = "/usr/sbin/policy-rc.d"
NOTHING_STARTS = "#!/bin/sh\nexit 101\n"  # 101: "action forbidden by policy", invoke-rc.d(8)
BACKUP = "/etc/.resolv.conf.systemd-resolved.bak"  # systemd-resolved's package copies shared.RESOLVER


@contextmanager
def in_place(tree: str) -> Iterator[None]:
    """Inside the block no service starts, secrets that have placeholders are not made, and the tree's host name
    resolves.

    A file that was put there is removed afterwards if it still is what it was, but for /etc/hosts, which a Debian
    system has.
    """
    name = host_name.of_tree(tree)
    if not tree_paths.exists(tree, host_name.HOSTS):
        text = host_name.with_own_name(host_name.DEFAULT_HOSTS, name)
        tree_paths.write_file(tree, host_name.HOSTS, text)
    files = {POLICY: (NOTHING_STARTS, 0o755), host_name.PATH: (f"{name}\n", 0o644), shared.RESOLVER: ("", 0o644)}
    placeholders = [path for secret in secrets.SECRETS for path in secret.placeholders]
    files |= {path: ("", 0o600) for path in placeholders if tree_paths.is_dir(tree, "/etc")}
    put = {}
    for path, (text, mode) in files.items():
        if tree_paths.lookup(tree, path, follow_last=False) is None:
            tree_paths.write_file(tree, path, text, mode=mode)
            put[path] = text
    yield
    for path, text in {**put, BACKUP: ""}.items():
        if _is_still(tree, path, text):
            tree_paths.remove(tree, path)
    for path in placeholders:
        tree_paths.remove_if_empty(tree, os.path.dirname(path))  # perhaps created for them only


def _is_still(tree: str, path: str, text: str) -> bool:
    found = tree_paths.lookup(tree, path, follow_last=False)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_size != len(text):
        return False
    return tree_paths.read_bytes(tree, path) == text.encode()


def run_deferred(tree: str, work: str) -> None:
    """Run the programs whose stubs were called. Raises StageError."""
    with _checked_file_systems(tree):
        for program, effect in ((stubs.CERTIFICATES, stubs.certificates), (stubs.INITRAMFS, stubs.initramfs)):
            for command in effect(stubs.calls(work, program)):
                with phase(WORDS[program]):
                    dpkg.program(tree, command)


@contextmanager
def _checked_file_systems(tree: str) -> Iterator[None]:
    """Inside the block initramfs-tools adds the programs that check / at boot.

    It takes the type of / from /etc/fstab, which is written later: without it, it adds none, and each boot says so.
    """
    types = [kind for kind in ROOT_TYPES if tree_paths.has_program(tree, f"fsck.{kind}")]
    wanted = bool(types) and tree_paths.is_dir(tree, os.path.dirname(CHECKED))
    wanted = wanted and tree_paths.lookup(tree, CHECKED, follow_last=False) is None
    text = f"FSTYPE={','.join(types)}\n"
    if wanted:
        tree_paths.write_file(tree, CHECKED, text)
    yield
    if wanted and _is_still(tree, CHECKED, text):
        tree_paths.remove(tree, CHECKED)
