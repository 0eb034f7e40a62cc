"""Which options the schemas of assemblers accept; tests/unit/stages/test_every_program.py has what holds for all."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ASSEMBLERS = Path(__file__).parents[3] / "assemblers"
UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
QEMU = {"format": "qcow2", "filename": "a.qcow2", "ptuuid": "0x7e83a7ba", "root_fs_uuid": UUID, "size": 3221225472}
IMAGE = {"identity": UUID, "outputs": [{"format": "tar", "filename": "a.tar"}]}
RAWFS = {"filename": "a.img", "root_fs_uuid": UUID, "size": "3G"}


def schema(name: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((ASSEMBLERS / f"{name}.meta.json").read_text())
    made: dict[str, Any] = meta["schema"]
    return made


def accepted(name: str, options: dict[str, Any]) -> bool:
    return jsonschema.Draft202012Validator(schema(name)).is_valid(options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("org.osbuild.qemu", QEMU),
        ("org.osbuild.qemu", {**QEMU, "root_fs_type": "ext4", "compression": "zstd"}),
        ("org.osbuild.qemu", {**QEMU, "format": "raw.xz", "ptuuid": UUID}),
        ("org.osbuild.rawfs", RAWFS),
        ("org.osbuild.rawfs", {**RAWFS, "size": 1 << 30, "fs_type": "xfs"}),
        ("org.osbuild.tar", {"filename": "a.tar"}),
        ("org.osbuild.tar", {"filename": "a.tar", "compression": "lzop"}),
        ("org.osbuild.noop", {"zero": 0}),
        ("org.osbuild-compose.image", IMAGE),
        ("org.osbuild-compose.image", {**IMAGE, "disk": {"uuid": UUID, "partitions": [{"type": "linux"}]}}),
    ],
)
def test_options_of_2019_and_ours_are_accepted(name: str, options: dict[str, Any]) -> None:
    assert accepted(name, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("org.osbuild.qemu", {}),
        ("org.osbuild.qemu", {**QEMU, "size": 3221225473}),
        ("org.osbuild.qemu", {**QEMU, "size": "3G"}),
        ("org.osbuild.qemu", {**QEMU, "format": "iso"}),
        ("org.osbuild.qemu", {**QEMU, "filename": "../a"}),
        ("org.osbuild.qemu", {**QEMU, "filename": ".."}),
        ("org.osbuild.qemu", {**QEMU, "filename": "a\n"}),
        ("org.osbuild.qemu", {**QEMU, "root_fs_uuid": UUID + "\n"}),
        ("org.osbuild.qemu", {**QEMU, "ptuuid": "0x1"}),
        ("org.osbuild.qemu", {**QEMU, "format": "raw", "compression": "zstd"}),
        ("org.osbuild.qemu", {**QEMU, "colour": "red"}),
        ("org.osbuild.rawfs", {**RAWFS, "size": "3 gigabytes"}),
        ("org.osbuild.rawfs", {**RAWFS, "fs_type": "btrfs"}),
        ("org.osbuild.tar", {"filename": "a.tar", "compression": "rar"}),
        ("org.osbuild.tar", {"compression": "xz"}),
        ("org.osbuild-compose.image", {**IMAGE, "identity": UUID + "\n"}),
        ("org.osbuild-compose.image", {**IMAGE, "outputs": []}),
        ("org.osbuild-compose.image", {**IMAGE, "outputs": [{"format": "tar", "filename": "../a"}]}),
        ("org.osbuild-compose.image", {**IMAGE, "outputs": [{"format": "tar", "filename": "."}]}),
        ("org.osbuild-compose.image", {**IMAGE, "outputs": [{"format": "tar", "filename": "a", "label": "b"}]}),
        ("org.osbuild-compose.image", {**IMAGE, "disk": {"uuid": "1", "partitions": [{"type": "linux"}]}}),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any]) -> None:
    assert not accepted(name, options)
