"""What holds for every stage of ours."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.stages.stage_unit import STAGES, RunStage, schema, write

UUID = "9c6ae55b-cf88-45b8-84e8-64990759f39d"
# The smallest options with which the stage writes something, or would.
OPTIONS: dict[str, dict[str, Any]] = {
    "org.osbuild.chrony": {"timeservers": ["a"]},
    "org.osbuild.error": {"returncode": 0},
    "org.osbuild.fstab": {"filesystems": [{"uuid": UUID, "path": "/"}]},
    "org.osbuild.groups": {"groups": {"ops": {}}},
    "org.osbuild.hostname": {"hostname": "web"},
    "org.osbuild.kernel-cmdline": {},
    "org.osbuild.keymap": {"keymap": "us"},
    "org.osbuild.locale": {"language": "C.UTF-8"},
    "org.osbuild.script": {"script": "true"},
    "org.osbuild.systemd": {"masked_services": ["a.service"]},
    "org.osbuild.timezone": {"zone": "UTC"},
    "org.osbuild.users": {"users": {"root": {"key": "k"}}},
    "org.osbuild-compose.files": {"files": [{"path": "/etc/x", "content": "x"}]},
    "org.osbuild-compose.grub": {"root_fs_uuid": UUID},
}
stages = pytest.mark.parametrize("name", OPTIONS)


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from objects(value)
    if isinstance(part, list):
        for value in part:
            yield from objects(value)


@stages
def test_meta_says_all(name: str) -> None:
    meta = json.loads((STAGES / f"{name}.meta.json").read_text())
    assert set(meta) == {"summary", "description", "capabilities", "network", "schema"}
    assert meta["network"] is False
    uses_chroot = "chroot.run" in (STAGES / name).read_text()
    assert meta["capabilities"] == (["CAP_SYS_ADMIN"] if uses_chroot else [])


@stages
def test_schemas_are_closed_and_described(name: str) -> None:
    for part in objects(schema(name)):
        if part.get("type") == "object":
            assert part["additionalProperties"] is False
        for option in part.get("properties", {}).values():
            assert option["description"].endswith(".")
        if part.get("type") == "string" and "pattern" in part and part["pattern"].endswith("$"):
            assert "\\n" in part["pattern"] or "\\u0000" in part["pattern"]  # "$" alone passes a line break at the end


@stages
def test_programs_are_executable_with_the_systems_python(name: str) -> None:
    assert os.access(STAGES / name, os.X_OK)
    assert (STAGES / name).read_text().startswith("#!/usr/bin/python3\n")


@stages
@pytest.mark.parametrize("target", ["{outside}", "../outside", "/{top}", "nowhere"])
def test_symlinks_never_lead_out(tree: Path, tmp_path: Path, run_stage: RunStage, name: str, target: str) -> None:
    outside = tmp_path / "outside"
    for path in ("os-release", "passwd", "group", "chrony.conf", "default/keyboard", "vmlinuz-1", "initrd.img-1"):
        write(outside, path, "ID=debian\n" if path == "os-release" else "root:x:0:0:x:/root:/bin/sh\n")
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    for top in ("etc", "boot", "root"):
        (tree / top).symlink_to(target.format(outside=outside, top=top))
    run_stage(name, OPTIONS[name])  # it may fail or not, but with a message: the fixture looks for tracebacks
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


@stages
@pytest.mark.parametrize("paths", [["etc/os-release"], ["etc/passwd", "etc/group", "etc/hosts", "etc/chrony.conf"]])
@pytest.mark.parametrize("kind", ["binary", "directory"])
def test_a_hostile_file_makes_no_traceback(
    tree: Path, run_stage: RunStage, name: str, paths: list[str], kind: str
) -> None:
    write(tree, "etc/os-release", "ID=debian\n")
    for path in paths:
        (tree / path).unlink(missing_ok=True)
        if kind == "binary":
            write(tree, path).write_bytes(b"\xff\xfe\0\n:::\n")
        else:
            (tree / path).mkdir()
    run_stage(name, OPTIONS[name])
