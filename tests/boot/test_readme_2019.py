"""The pipeline in osbuild's README of 2019, with packages from the stand-in repository."""

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from osbuild_compose.boot import Machine
from tests.boot.conftest import PATIENCE
from tests.conftest import Account, make_account
from tests.standin import Standin

ROOT_UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
# All of it but `repos`, which a test fills in.
README = {
    "name": "Example Image",
    "stages": [
        {
            "name": "org.osbuild.dnf",
            "options": {"releasever": "30", "basearch": "x86_64", "packages": ["@Core", "grub2-pc", "httpd"]},
        },
        {"name": "org.osbuild.systemd", "options": {"enabled_services": ["httpd"]}},
        {"name": "org.osbuild.grub2", "options": {"root_fs_uuid": ROOT_UUID}},
    ],
    "assembler": {
        "name": "org.osbuild.qemu",
        "options": {
            "format": "qcow2",
            "filename": "example.qcow2",
            "ptuuid": "0x7e83a7ba",
            "root_fs_uuid": ROOT_UUID,
            "size": 3221225472,
        },
    },
}


def pipeline(repository: Standin, *more: str) -> dict[str, Any]:
    """The README's pipeline with the repository's metalink, checksum and key; more: packages besides."""
    document: dict[str, Any] = json.loads(json.dumps(README))
    options = document["stages"][0]["options"]
    options["repos"] = repository.repos
    assert [sorted(repo) for repo in options["repos"]] == [["checksum", "gpgkey", "metalink"]]  # as in the README
    options["packages"] += more
    return document


def build(account: Account, document: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Run `python3 -m runner`; returns the image and what it says."""
    place = account.home / "readme"
    arguments = ("--json", "--store", account.store, "--output-directory", place, "-")
    done = account.runner(*arguments, input=json.dumps(document))
    assert done.returncode == 0, done.stderr
    return place / "example.qcow2", json.loads(done.stdout)


def digest(name: str, base: str | None, options: dict[str, Any]) -> str:
    """osbuild's id of a stage without a build pipeline, as osbuild/pipeline.py had it in October 2019."""
    texts = (json.dumps(part, sort_keys=True) for part in (name, None, base, options))
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def test_the_readmes_image(repository: Standin, scratch_room: Path, installed: Path, tmp_path: Path) -> None:
    document = pipeline(repository)
    image, told = build(make_account("user", scratch_room, installed), document)
    tree_id = None
    for stage in document["stages"]:
        tree_id = digest(stage["name"], tree_id, stage["options"])
    assembler = document["assembler"]
    assert told["tree_id"] == tree_id
    assert told["output_id"] == digest(assembler["name"], tree_id, assembler["options"])

    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", image]))
    assert (info["format"], info["virtual-size"]) == ("qcow2", 3221225472)
    raw = tmp_path / "example.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    table = json.loads(subprocess.check_output(["/usr/sbin/sfdisk", "--json", raw]))["partitiontable"]
    assert (table["label"], table["id"]) == ("dos", "0x7e83a7ba")
    (partition,) = table["partitions"]
    assert (partition["start"], partition["type"], partition["bootable"]) == (2048, "83", True)
    # The MBR's code, and GRUB's core image behind it.
    with raw.open("rb") as file:
        head = file.read(2048 * 512)
    assert b"GRUB" in head[:440]
    assert any(head[512:1024])

    start = partition["start"] * 512
    tags = subprocess.check_output(["/usr/sbin/blkid", "-p", "-o", "export", "-O", str(start), raw], text=True)
    assert {f"UUID={ROOT_UUID}", "TYPE=ext4"} <= set(tags.split())
    for path in (
        "/usr/sbin/httpd",
        "/etc/systemd/system/multi-user.target.wants/httpd.service",
        "/boot/grub2/grub.cfg",
    ):
        argv = ["/usr/sbin/debugfs", "-R", f"stat {path}", f"{raw}?offset={start}"]
        assert "Inode:" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout, path


def test_it_boots(repository: Standin, scratch_room: Path, installed: Path, tmp_path: Path) -> None:
    """What the README leaves out: a kernel, which @Core does not have, and a root that is not read-only."""
    document = pipeline(repository, "kernel")
    document["stages"][2]["options"]["kernel_opts"] = "rw console=ttyS0"
    image, _ = build(make_account("root", scratch_room, installed), document)
    with Machine(image, log=tmp_path / "console.log") as machine:
        machine.wait_for(r"localhost login:", timeout=PATIENCE)
        assert re.search(r"Started .*httpd", machine.console)
