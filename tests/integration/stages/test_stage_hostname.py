"""org.osbuild.hostname"""

from pathlib import Path

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.hostname"


def test_writes_only_the_name_where_nss_myhostname_resolves_it(tree: Path, run_stage: RunStage) -> None:
    write(tree, "usr/lib/os-release", "ID=fedora\n")
    assert run_stage(NAME, {"hostname": "web"}).status == 0
    assert (tree / "etc/hostname").read_text() == "web\n"
    assert not (tree / "etc/hosts").exists()


def test_debian_resolves_its_own_name(debian: Path, run_stage: RunStage) -> None:
    run_stage(NAME, {"hostname": "web.example.org"})
    hosts = (debian / "etc/hosts").read_text().splitlines()
    assert hosts[:2] == ["127.0.0.1\tlocalhost", "127.0.1.1\tweb.example.org web"]
    assert any(line.split()[:2] == ["::1", "localhost"] for line in hosts)


def test_a_second_run_changes_the_line_and_keeps_the_others(debian: Path, run_stage: RunStage) -> None:
    write(debian, "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 old\n192.0.2.1 other\n")
    run_stage(NAME, {"hostname": "one"})
    run_stage(NAME, {"hostname": "two"})
    assert (debian / "etc/hosts").read_text() == "127.0.0.1 localhost\n127.0.1.1\ttwo\n192.0.2.1 other\n"


@pytest.mark.parametrize("name", ["web", "a", "3com", "web-1.example.org", "a" * 63])
def test_accepts(name: str) -> None:
    assert accepts(NAME, {"hostname": name})


@pytest.mark.parametrize("name", ["", "-web", "web-", "we_b", "we b", "web\n", "web..org", "a" * 64, "a.b" * 22])
def test_refuses(name: str) -> None:
    assert not accepts(NAME, {"hostname": name})
