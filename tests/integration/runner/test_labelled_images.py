"""What only root may set on files is in everybody's images: labels, file capabilities, lists of access."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import make_account
from tests.integration.runner.conftest import Bench

CONTEXTS = "/etc/selinux/targeted/contexts/files/file_contexts"
POLICY = r"""
/.*                 system_u:object_r:default_t:s0
/           -d      system_u:object_r:root_t:s0
/usr/bin/.* --      system_u:object_r:bin_t:s0
/srv/.*     --      system_u:object_r:later_t:s0
/lost\+found        system_u:object_r:lost_found_t:s0
"""
MAKE = f"""
import json, os, subprocess, sys
tree = json.load(sys.stdin)["tree"]
for directory in ("usr/bin", "srv", os.path.dirname({CONTEXTS!r}.lstrip("/"))):
    os.makedirs(f"{{tree}}/{{directory}}")
with open(tree + {CONTEXTS!r}, "w") as file:
    file.write({POLICY!r})
for name in ("ping", "owned"):
    with open(f"{{tree}}/usr/bin/{{name}}", "w") as file:
        file.write(name)
os.chown(f"{{tree}}/usr/bin/owned", 990, 991)
os.setxattr(f"{{tree}}/usr/bin/ping", "security.capability", bytes.fromhex("0100000200200000" + 24 * "0"))
subprocess.run(["setfacl", "-m", "u:990:r-x", f"{{tree}}/usr/bin/owned"], check=True)
os.utime(f"{{tree}}/usr/bin/ping", (1, 1_500_000_000))
os.utime(f"{{tree}}/usr/bin/owned", (1, 1_790_000_000))
"""
LATER = """
import json, os, sys
tree = json.load(sys.stdin)["tree"]
with open(f"{tree}/srv/later", "w") as file:
    file.write("made after the stage")
"""
FORMATS = ("ext4", "xfs", "btrfs", "squashfs", "erofs", "tar", "oci-archive")
MORE = {"ext4": {"size": 16 << 20}, "oci-archive": {"architecture": "x86_64"}}
IMAGES = {
    "identity": "76a22bf4-f153-4541-b6c7-0332c0dfaeac",
    "outputs": [{"format": name, "filename": name, **MORE.get(name, {})} for name in FORMATS],
}


def build(bench: Bench) -> dict[str, str]:
    """Images of a tree with one of each; returns their digests."""
    bench.program("org.test.make", MAKE)
    bench.program("org.test.later", LATER)
    selinux = ("org.osbuild.selinux", {"file_contexts": CONTEXTS})
    out = bench.place / "out"
    ran = bench.run(
        *("org.test.make", selinux, "org.test.later"),
        assembler=("org.osbuild-compose.image", IMAGES),
        args=("--output-directory", out),
    )
    assert ran.returncode == 0, ran.stderr
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in FORMATS}


def debugfs(image: Path, request: str) -> str:
    return subprocess.run(["debugfs", "-R", request, image], capture_output=True, check=True, text=True).stdout


@pytest.mark.skipif(shutil.which("setfacl") is None, reason="setfacl (acl) is not installed")
def test_what_only_root_may_set_is_in_the_image(any_bench: Bench) -> None:
    build(any_bench)
    image = any_bench.place / "out/ext4"
    for path, kind in (("/", "root_t"), ("/usr/bin/ping", "bin_t"), ("/srv/later", "later_t"), ("/srv", "default_t")):
        assert f"system_u:object_r:{kind}:s0" in debugfs(image, f"ea_list {path}"), path
    # Version 2 of the attribute, 20 bytes: in a user namespace's version 3 there would be its root's number as well.
    assert "security.capability (20) = 01 00 00 02 00 20 00" in debugfs(image, "ea_list /usr/bin/ping")
    owned = debugfs(image, "stat /usr/bin/owned")
    assert "User:   990   Group:   991" in owned
    assert "system.posix_acl_access" in owned
    assert "02 00 05 00 de 03 00 00" in owned  # user 990 may read and execute, acl(5)
    # Times are those that the stages set, before and after SOURCE_DATE_EPOCH, not the clock's.
    assert f" mtime: {1_500_000_000:#x}" in debugfs(image, "stat /usr/bin/ping")
    assert f" mtime: {1_790_000_000:#x}" in owned
    assert f" mtime: {1_735_689_600:#x}" in debugfs(image, "stat /srv/later")


@pytest.mark.skipif(os.geteuid() != 0, reason="compares root's image with a user's: needs root")
def test_roots_images_and_a_users_are_the_same_bytes(scratch_room: Path, installed: Path) -> None:
    images = {}
    for kind in ("root", "user"):
        account = make_account(kind, scratch_room, installed)
        for overlay in (True, False):
            place = account.home / f"same-{overlay}"
            place.mkdir()
            shutil.chown(place, account.name)
            images[kind, overlay] = build(Bench(account, place, overlay))
    first = images["root", True]
    assert images == dict.fromkeys(images, first)
