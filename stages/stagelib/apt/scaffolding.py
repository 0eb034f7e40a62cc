"""Files that the tree has while packages are installed.

They keep packages' scripts from starting services and making host keys, and let them find the host's names.
"""

import stat
from collections.abc import Iterator
from contextlib import contextmanager

from stagelib import host_name, tree_paths
from stagelib.api import phase
from stagelib.apt import dpkg, shared, stubs

POLICY = "/usr/sbin/policy-rc.d"
NOTHING_STARTS = "#!/bin/sh\nexit 101\n"  # 101: "action forbidden by policy", invoke-rc.d(8)
SSH_KEYS = tuple(f"/etc/ssh/ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519"))


BACKUP = "/etc/.resolv.conf.systemd-resolved.bak"  # systemd-resolved puts a link in its place


@contextmanager
def in_place(tree: str) -> Iterator[None]:
    """Inside the block no service starts, openssh-server makes no host keys (it would make missing ones), and the
    tree's host name resolves.

    A file that was put there is removed afterwards if it still is what it was, but for /etc/hosts, which a Debian
    system has.
    """
    name = host_name.of_tree(tree)
    if not tree_paths.exists(tree, host_name.HOSTS):
        text = host_name.with_own_name(host_name.DEFAULT_HOSTS, name)
        tree_paths.write_file(tree, host_name.HOSTS, text)
    files = {POLICY: (NOTHING_STARTS, 0o755), host_name.PATH: (f"{name}\n", 0o644), shared.RESOLVER: ("", 0o644)}
    files |= {path: ("", 0o600) for path in SSH_KEYS if tree_paths.is_dir(tree, "/etc")}
    put = {}
    for path, (text, mode) in files.items():
        if tree_paths.lookup(tree, path, follow_last=False) is None:
            tree_paths.write_file(tree, path, text, mode=mode)
            put[path] = text
    yield
    for path, text in {**put, BACKUP: ""}.items():
        if _is_still(tree, path, text):
            tree_paths.remove(tree, path)
    tree_paths.remove_if_empty(tree, "/etc/ssh")  # created for the keys only


def _is_still(tree: str, path: str, text: str) -> bool:
    found = tree_paths.lookup(tree, path, follow_last=False)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_size != len(text):
        return False
    return tree_paths.read_bytes(tree, path) == text.encode()


def run_deferred(tree: str, work: str) -> None:
    """Run the programs whose stubs were called. Raises StageError."""
    for program, effect in ((stubs.CERTIFICATES, stubs.certificates), (stubs.INITRAMFS, stubs.initramfs)):
        for command in effect(stubs.calls(work, program)):
            with phase(" ".join(command)):
                dpkg.program(tree, command)
