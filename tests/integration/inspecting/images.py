"""Options of images to inspect, running `compose inspect`, and assertions about its report."""

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema

from tests.conftest import REPO
from tests.integration.assembling import MIB
from tests.integration.cli.commands import compose

IMAGE = "org.osbuild-compose.image"
SCHEMA = json.loads((REPO / "schemas/inspect.schema.json").read_text())
IDENTITY = "9f3e7a50-4d8f-4f8e-8f0a-6c6f7b1f5f10"
ROOT_UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
ESP = {
    "type": "esp",
    "name": "esp",
    "uuid": "0f0e7c39-6d52-4b5a-b3a5-1a3e7a3c1c10",
    "size": 8 * MIB,
    "filesystem": {"type": "vfat", "uuid": "1234-ABCD", "mountpoint": "/boot/efi"},
}
ROOT = {
    "type": "root-x86-64",
    "name": "root",
    "uuid": "0f0e7c39-6d52-4b5a-b3a5-1a3e7a3c1c11",
    "grow": True,
    "filesystem": {"type": "ext4", "uuid": ROOT_UUID, "label": "system", "mountpoint": "/"},
}
DISK: dict[str, Any] = {"uuid": "cb9bd3f4-1f5d-4a0e-9a68-6d1d6ab9d3c2", "size": 64 * MIB, "partitions": [ESP, ROOT]}
DISKS = ("raw", "raw.xz", "raw.zst", "qcow2", "vdi", "vmdk", "vpc", "vhdx")
ARCHIVES = ("tar", "tar.gz", "tar.xz", "tar.zst", "wsl", "cpio", "cpio.gz", "cpio.xz", "cpio.zst")
FILE_SYSTEMS = ("ext4", "btrfs", "squashfs", "erofs")  # and xfs, which xfsprogs before 6.17 cannot make of a tree
OUTPUTS: dict[str, dict[str, Any]] = {
    **{name: {"format": name} for name in (*DISKS, *ARCHIVES, *FILE_SYSTEMS)},
    "ova": {"format": "ova", "name": "web", "memory": 512, "firmware": "uefi"},
    "oci-archive": {"format": "oci-archive", "architecture": "x86_64", "tag": "web", "cmd": ["/bin/sh"]},
    "iso": {"format": "iso", "label": "live", "kernel_opts": "quiet"},
    "pxe": {"format": "pxe", "kernel_opts": "quiet"},
}


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return compose("inspect", *arguments, **environment)


def inspect(image: Path) -> dict[str, Any]:
    done = run(image, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    return document


def is_the_system(document: dict[str, Any]) -> None:
    system = document["system"]
    assert system["os_release"]["PRETTY_NAME"] == 'Tiny "1"'
    assert system["hostname"] == "tiny"
    assert [kernel["version"] for kernel in system["kernels"]] == ["6.1.0-10"]
    installed = [{"name": "base", "version": "1:2-3", "architecture": "amd64"}]
    assert system["packages"] == {"manager": "dpkg", "installed": installed}
    users = [(user["name"], user["groups"], user["password"], user["ssh_keys"]) for user in system["users"]]
    assert users == [("root", ["root"], "locked", 0), ("admin", ["admin", "sudo"], "set", 1)]
    assert system["services"] == {
        "default_target": "multi-user.target",
        "enabled": [{"unit": "web.service", "wanted_by": ["multi-user.target"]}],
        "masked": ["off.service"],
    }
    assert system["largest_directories"][0]["path"] == "/usr"
    assert document["provenance"]["build"] == {"name": "tiny", "distro": "tiny-1", "tree_id": "abc"}


def is_a_disk(document: dict[str, Any]) -> None:
    is_the_system(document)
    table = document["partition_table"]
    assert (table["type"], table["uuid"], table["sector_size"]) == ("gpt", DISK["uuid"], 512)
    assert [(one["label"], one["type_name"], one["uuid"]) for one in table["partitions"]] == [
        ("esp", "EFI system", ESP["uuid"]),
        ("root", "Linux root (x86-64)", ROOT["uuid"]),
    ]
    found = [(one["partition"], one["type"], one["uuid"], one["mount_point"]) for one in document["file_systems"]]
    assert found == [(1, "vfat", "1234-ABCD", "/boot/efi"), (2, "ext4", ROOT_UUID, "/")]
    assert all(0 < one["used"] < one["size"] <= 64 * MIB for one in document["file_systems"])
    entry = {"title": "Tiny", "kernel": "/boot/vmlinuz-6.1.0-10", "initramfs": ["/boot/i"], "options": "root=UUID=x ro"}
    assert document["boot"]["entries"] == [{**entry, "source": "/boot/grub/grub.cfg"}]
    assert document["notes"] == []


def fails(image: Path, *said: str) -> None:
    done = run(image)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    for text in said:
        assert text in done.stderr
