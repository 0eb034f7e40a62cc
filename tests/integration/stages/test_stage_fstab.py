"""org.osbuild.fstab"""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.fstab"


def fstab(run_stage: RunStage, tree: Path, **entry: Any) -> str:
    assert run_stage(NAME, {"filesystems": [entry]}).status == 0
    return (tree / "etc/fstab").read_text()


def test_replaces_the_table(tree: Path, run_stage: RunStage) -> None:
    write(tree, "etc/fstab", "# old\n")
    root = {"uuid": "aaaa", "path": "/", "vfs_type": "ext4", "options": "ro,noatime", "freq": 1, "passno": 1}
    result = run_stage(NAME, {"filesystems": [root, {"uuid": "bbbb", "path": "/boot"}]})
    assert result.status == 0
    assert (tree / "etc/fstab").read_text() == (
        "UUID=aaaa\t/\text4\tro,noatime\t1\t1\nUUID=bbbb\t/boot\tnone\tdefaults\t0\t0\n"
    )


def test_takes_the_strings_of_2019(tree: Path, run_stage: RunStage) -> None:
    assert fstab(run_stage, tree, uuid="a", path="/", freq="1", passno="2").endswith("\t1\t2\n")


def test_other_ways_to_name_a_file_system(tree: Path, run_stage: RunStage) -> None:
    assert fstab(run_stage, tree, label="my data", path="/data").startswith("LABEL=my\\040data\t/data\t")
    assert fstab(run_stage, tree, partlabel="esp", path="/efi").startswith("PARTLABEL=esp\t")
    assert fstab(run_stage, tree, device="tmpfs", path="/tmp", vfs_type="tmpfs").startswith("tmpfs\t/tmp\ttmpfs\t")


def test_no_value_can_add_a_line(tree: Path, run_stage: RunStage) -> None:
    text = fstab(run_stage, tree, uuid="a", path="/x\n/dev/sda /evil", options="a\tb\\")
    assert text == "UUID=a\t/x\\012/dev/sda\\040/evil\tnone\ta\\011b\\134\t0\t0\n"


def test_mount_point_that_no_package_makes(tree: Path, run_stage: RunStage) -> None:
    (tree / "srv").mkdir(mode=0o700)
    entries = [{"uuid": "a", "path": path} for path in ("/", "/srv", "/srv/data/x", "none")]
    assert run_stage(NAME, {"filesystems": entries}).status == 0
    assert (tree / "srv").stat().st_mode & 0o7777 == 0o700
    assert (tree / "srv/data/x").stat().st_mode & 0o7777 == 0o755
    assert sorted(path.name for path in tree.iterdir()) == ["etc", "srv"]


@pytest.mark.parametrize(
    "entry",
    [
        {"uuid": "a"},
        {"path": "/"},
        {"uuid": "a", "label": "b", "path": "/"},
        {"uuid": "a", "path": "/", "freq": "often"},
        {"uuid": "a", "path": "/", "freq": -1},
        {"uuid": "a", "path": "/", "type": "ext4"},
    ],
)
def test_refuses(entry: dict[str, Any]) -> None:
    assert not accepts(NAME, {"filesystems": [entry]})
