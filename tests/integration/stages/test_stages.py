"""How every stage behaves with hostile trees; test_every_program.py has what holds for descriptions and programs."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import STAGES, RunStage, write

UUID = "9c6ae55b-cf88-45b8-84e8-64990759f39d"
# They install with programs of the build root and get repositories or images: see tests/integration.
INSTALLERS = {"org.osbuild-compose.apt", "org.osbuild-compose.containers", "org.osbuild.dnf", "org.osbuild.rpm"}
# The smallest options with which the stage writes something, or would.
OPTIONS: dict[str, dict[str, Any]] = {
    "org.osbuild.chrony": {"timeservers": ["a"]},
    "org.osbuild.debug-shell": {"tty": "/dev/tty9"},
    "org.osbuild.dracut": {"kernel": ["1"]},
    "org.osbuild.error": {"returncode": 0},
    "org.osbuild.firewall": {"ports": ["1:tcp"], "enabled_services": ["ssh"]},
    "org.osbuild.fix-bls": {},
    "org.osbuild.fstab": {"filesystems": [{"uuid": UUID, "path": "/"}]},
    "org.osbuild.groups": {"groups": {"ops": {}}},
    "org.osbuild.grub2": {"root_fs_uuid": UUID, "uefi": {"vendor": "fedora"}},
    "org.osbuild.hostname": {"hostname": "web"},
    "org.osbuild.kernel-cmdline": {},
    "org.osbuild.keymap": {"keymap": "us"},
    "org.osbuild.locale": {"language": "C.UTF-8"},
    "org.osbuild.noop": {},
    "org.osbuild.script": {"script": "true"},
    "org.osbuild.selinux": {"file_contexts": "etc/selinux/x", "force_autorelabel": True},
    "org.osbuild.systemd": {"masked_services": ["a.service"]},
    "org.osbuild.test": {"script": "/bin/true"},
    "org.osbuild.timezone": {"zone": "UTC"},
    "org.osbuild.update-crypto-policies": {"policy": "DEFAULT"},
    "org.osbuild.users": {"users": {"root": {"key": "k"}}},
    "org.osbuild.yum.repos": {"filename": "a.repo", "repos": [{"id": "a", "baseurl": ["http://a"]}]},
    "org.osbuild.zipl": {},
    "org.osbuild-compose.files": {"files": [{"path": "/etc/x", "content": "x"}]},
    "org.osbuild-compose.first-boot-secrets": {},
    "org.osbuild-compose.grub": {"root_fs_uuid": UUID},
    "org.osbuild-compose.provenance": {"documents": {"a": {}}},
    "org.osbuild-compose.script-with-network": {"script": "true"},
    "org.osbuild-compose.systemd-boot": {"root_fs_uuid": UUID},
}
stages = pytest.mark.parametrize("name", OPTIONS)


def test_every_stage_is_here() -> None:
    found = {file.name.removesuffix(".meta.json") for file in STAGES.glob("*.meta.json")}
    assert found == OPTIONS.keys() | INSTALLERS


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
