"""What the tree has only while packages are configured: files that keep scripts from starting and making things."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from stagelib import intree
from stagelib.apt import dpkg, standins
from stagelib.apt.timing import phase

POLICY = "/usr/sbin/policy-rc.d"
NOTHING_STARTS = "#!/bin/sh\nexit 101\n"  # 101: "action forbidden by policy", invoke-rc.d(8)
SSH_KEYS = tuple(f"/etc/ssh/ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519"))


@contextmanager
def quiet(tree: str) -> Iterator[None]:
    """No service starts and openssh-server makes no host keys (it makes those that are missing) inside the block."""
    put = []
    if not intree.exists(tree, POLICY):
        intree.write_file(tree, POLICY, NOTHING_STARTS, mode=0o755)
        put.append(POLICY)
    for path in SSH_KEYS:
        if os.path.isdir(intree.resolve(tree, "/etc")) and not intree.exists(tree, path):
            intree.write_file(tree, path, "", mode=0o600)
            put.append(path)
    yield
    for path in put:
        intree.remove(tree, path)
    etc_ssh = intree.resolve(tree, "/etc/ssh")
    if os.path.isdir(etc_ssh) and not os.listdir(etc_ssh):
        os.rmdir(etc_ssh)  # made for the keys, and nobody wanted it


def run_noted(tree: str, work: str) -> None:
    """Run the programs that stand-ins took notes for. Raises StageError."""
    for program, effect in ((standins.CERTIFICATES, standins.certificates), (standins.INITRAMFS, standins.initramfs)):
        for command in effect(standins.calls(work, program)):
            with phase(" ".join(command)):
                dpkg.program(tree, command)
