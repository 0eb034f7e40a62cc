"""The small stages of RPM systems: org.osbuild.fix-bls, zipl, yum.repos and dracut."""

import importlib.machinery
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import STAGES, RunStage, accepts, write

ENTRY = "title Fedora\nlinux {0}/vmlinuz-6.1\ninitrd {0}/initramfs-6.1.img\noptions root=UUID=1 boot=/boot/x\n"


@pytest.mark.parametrize(
    ("before", "prefix", "after"),
    [
        ("/run/osbuild/tree/boot", None, "/boot"),
        ("/a/boot/b/boot", "/boot", "/boot"),
        ("/boot", "", ""),
        ("/ostree/x", None, "/ostree/x"),
    ],
)
def test_fix_bls(tree: Path, run_stage: RunStage, before: str, prefix: str | None, after: str) -> None:
    entry = write(tree, "boot/loader/entries/f.conf", ENTRY.format(before))
    other = write(tree, "boot/loader/entries/f.conf.bak", ENTRY.format(before))
    assert run_stage("org.osbuild.fix-bls", {} if prefix is None else {"prefix": prefix}).status == 0
    assert entry.read_text() == ENTRY.format(after)
    assert other.read_text() == ENTRY.format(before)


def test_zipl(tree: Path, run_stage: RunStage) -> None:
    assert run_stage("org.osbuild.zipl", {}).status == 0
    text = (tree / "etc/zipl.conf").read_text()
    assert text == "[defaultboot]\ndefaultauto\nprompt=1\ntimeout=0\ntarget=/boot\n"
    assert run_stage("org.osbuild.zipl", {"timeout": 5}).status == 0
    assert "timeout=5\n" in (tree / "etc/zipl.conf").read_text()


def test_yum_repos(tree: Path, run_stage: RunStage) -> None:
    first = {"id": "one", "baseurl": ["http://a.example/$basearch", "http://b.example"], "gpgcheck": True}
    second = {"id": "two", "name": "Two", "metalink": "https://c.example/m?a=b", "enabled": False, "priority": 5}
    options = {"filename": "own.repo", "repos": [first, {**second, "gpgkey": ["file:///etc/pki/k"]}]}
    assert run_stage("org.osbuild.yum.repos", options).status == 0
    assert (tree / "etc/yum.repos.d/own.repo").read_text() == (
        "[one]\nname=one\nbaseurl=http://a.example/$basearch http://b.example\ngpgcheck=1\n\n"
        "[two]\nname=Two\nmetalink=https://c.example/m?a=b\nenabled=0\ngpgkey=file:///etc/pki/k\npriority=5\n"
    )
    assert run_stage("org.osbuild.yum.repos", options).status == 0
    result = run_stage("org.osbuild.yum.repos", {**options, "repos": [first]})
    assert result.status == 1
    assert "the tree already has a different /etc/yum.repos.d/own.repo" in result.log


@pytest.mark.parametrize(
    "repo",
    [
        {"id": "a"},
        {"id": "a]\n[b", "baseurl": ["http://a"]},
        {"id": "a", "baseurl": ["http://a\nenabled=0"]},
        {"id": "a", "baseurl": ["http://a"], "metalink": "http://b"},
        {"id": "a", "baseurl": ["http://a"], "name": "n\nx=y"},
        {"id": "a", "baseurl": ["http://a"], "unknown": 1},
    ],
)
def test_yum_repos_refuses(repo: dict[str, Any]) -> None:
    assert not accepts("org.osbuild.yum.repos", {"filename": "a.repo", "repos": [repo]})
    assert not accepts(
        "org.osbuild.yum.repos", {"filename": "../a.repo", "repos": [{"id": "a", "baseurl": ["http://a"]}]}
    )


def test_dracut_without_what_it_needs(tree: Path, run_stage: RunStage) -> None:
    result = run_stage("org.osbuild.dracut", {"kernel": ["6.1"]})
    assert result.status == 1
    assert "the tree has no `dracut`" in result.log
    write(tree, "usr/bin/dracut")
    (tree / "usr/lib/modules/6.1.0-9").mkdir(parents=True)
    result = run_stage("org.osbuild.dracut", {"kernel": ["6.1.0-8"]})
    assert result.status == 1
    assert "the tree has no kernel 6.1.0-8" in result.log
    assert "6.1.0-9" in result.log


def test_dracuts_command_line() -> None:
    loader = importlib.machinery.SourceFileLoader("dracut_stage", str(STAGES / "org.osbuild.dracut"))
    spec = importlib.util.spec_from_loader("dracut_stage", loader)
    assert spec
    stage = importlib.util.module_from_spec(spec)
    loader.exec_module(stage)
    assert stage.arguments({"kernel": ["1"]}) == ["--no-early-microcode", "--reproducible"]
    options = {
        **{
            "compress": "zstd",
            "modules": ["base", "qemu"],
            "add_drivers": ["nvme"],
            "omit_drivers": ["b"],
            "omit_modules": ["a"],
        },
        **{"include": [{"/etc/a": "/etc/b"}], "install": ["/usr/bin/c"], "early_microcode": True},
        **{"reproducible": False, "extra": ["--add-fstab", "/f"]},
    }
    assert stage.arguments(options) == [
        *("--early-microcode", "--no-reproducible", "--compress=zstd"),
        *("--modules", "base qemu", "--omit", "a", "--add-drivers", "nvme", "--omit-drivers", "b"),
        *("--include", "/etc/a", "/etc/b", "--install", "/usr/bin/c", "--add-fstab", "/f"),
    ]


def test_a_tree_without_crypto_policies(run_stage: RunStage) -> None:
    result = run_stage("org.osbuild.update-crypto-policies", {"policy": "FIPS"})
    assert result.status == 1
    assert "the tree has no `update-crypto-policies`" in result.log
    assert "add the package crypto-policies-scripts" in result.log


@pytest.mark.parametrize("policy", ["FIPS", "DEFAULT:NO-SHA1", "LEGACY:AD-SUPPORT:NO-ENFORCE-EMS", "TEST1_X"])
def test_policies(policy: str) -> None:
    assert accepts("org.osbuild.update-crypto-policies", {"policy": policy})


@pytest.mark.parametrize("policy", ["", "--show", "../FIPS", "FIPS:", "FIPS NO-SHA1", "FIPS\n"])
def test_policies_that_are_none(policy: str) -> None:
    assert not accepts("org.osbuild.update-crypto-policies", {"policy": policy})
