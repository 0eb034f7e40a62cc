"""Temporary files in the tree that keep packages' scripts from starting services and making host keys."""

from collections.abc import Iterator
from contextlib import contextmanager

from stagelib import tree_paths
from stagelib.api import phase
from stagelib.apt import dpkg, stubs

POLICY = "/usr/sbin/policy-rc.d"
NOTHING_STARTS = "#!/bin/sh\nexit 101\n"  # 101: "action forbidden by policy", invoke-rc.d(8)
SSH_KEYS = tuple(f"/etc/ssh/ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519"))


@contextmanager
def nothing_started(tree: str) -> Iterator[None]:
    """Inside the block no service starts, and openssh-server makes no host keys (it would make missing ones)."""
    put = []
    if not tree_paths.exists(tree, POLICY):
        tree_paths.write_file(tree, POLICY, NOTHING_STARTS, mode=0o755)
        put.append(POLICY)
    for path in SSH_KEYS:
        if tree_paths.is_dir(tree, "/etc") and not tree_paths.exists(tree, path):
            tree_paths.write_file(tree, path, "", mode=0o600)
            put.append(path)
    yield
    for path in put:
        tree_paths.remove(tree, path)
    tree_paths.remove_if_empty(tree, "/etc/ssh")  # created for the keys only


def run_deferred(tree: str, work: str) -> None:
    """Run the programs whose stubs were called. Raises StageError."""
    for program, effect in ((stubs.CERTIFICATES, stubs.certificates), (stubs.INITRAMFS, stubs.initramfs)):
        for command in effect(stubs.calls(work, program)):
            with phase(" ".join(command)):
                dpkg.program(tree, command)
