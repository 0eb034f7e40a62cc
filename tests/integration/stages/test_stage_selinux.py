"""org.osbuild.selinux on a plain directory: what it writes down, and what it needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from stagelib import selinux

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.selinux"
CONTEXTS = "etc/selinux/targeted/contexts/files/file_contexts"


@pytest.fixture
def policy(tree: Path) -> Path:
    """A tree with file contexts."""
    write(tree, CONTEXTS, "/.*\tsystem_u:object_r:default_t:s0\n")
    return tree


def test_the_file_contexts_are_written_down_and_nothing_else_changes(run_stage: RunStage, policy: Path) -> None:
    before = policy.stat().st_mtime_ns
    done = run_stage(NAME, {"file_contexts": CONTEXTS})
    assert done.status == 0, done.log
    assert selinux.read(str(policy)) == (selinux.Rule(f"/{CONTEXTS}"),)
    assert policy.stat().st_mtime_ns == before
    assert sorted(path.name for path in policy.iterdir()) == [selinux.RECORD, "etc"]


def test_all_of_upstreams_options_are_written_down_one_after_the_other(run_stage: RunStage, policy: Path) -> None:
    (policy / "boot").mkdir()
    assert run_stage(NAME, {"file_contexts": f"tree:///{CONTEXTS}"}).status == 0
    options = {
        "file_contexts": f"/{CONTEXTS}",
        "target": "tree:///boot/",
        "exclude_paths": ["/boot/efi", "sysroot"],
        "labels": {"/boot": "system_u:object_r:boot_t:s0"},
        "force_autorelabel": True,
    }
    done = run_stage(NAME, options)
    assert done.status == 0, done.log
    assert selinux.read(str(policy)) == (
        selinux.Rule(f"/{CONTEXTS}"),
        selinux.Rule(f"/{CONTEXTS}", "/boot", ("/boot/efi", "/sysroot"), {"/boot": "system_u:object_r:boot_t:s0"}),
    )
    assert (policy / ".autorelabel").read_text() == "-F\n"


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"file_contexts": "etc/selinux/mls/contexts/files/file_contexts"}, "/etc/selinux/mls/contexts"),
        ({"file_contexts": "etc/selinux/targeted"}, "/etc/selinux/targeted"),
        ({"file_contexts": CONTEXTS, "target": "/bot"}, "/bot to label"),
        ({"file_contexts": CONTEXTS, "labels": {"/etc/x": "a:b:c"}}, "/etc/x to label"),
    ],
)
def test_what_the_tree_lacks_is_reported(
    run_stage: RunStage, policy: Path, options: dict[str, Any], missing: str
) -> None:
    done = run_stage(NAME, options)
    assert done.status == 1
    assert f"error: the tree has no {missing}" in done.log
    assert not (policy / selinux.RECORD).exists()


@pytest.mark.parametrize("label", ["etc_t", "a:b", "a:b:c d", "a:b:c\n", ""])
def test_what_is_no_label_is_refused(label: str) -> None:
    assert accepts(NAME, {"file_contexts": CONTEXTS, "labels": {"/etc": "a:b:c:s0-s15:c0.c1023"}})
    assert not accepts(NAME, {"file_contexts": CONTEXTS, "labels": {"/etc": label}})


@pytest.mark.parametrize("text", ["", "[1]", '[{"file_contexts": 1}]', '[{"path": "/"}]', '{"a": 1}', "x" * (2 << 20)])
def test_a_record_that_is_not_the_stages_is_an_error(run_stage: RunStage, policy: Path, text: str) -> None:
    write(policy, selinux.RECORD, text)
    done = run_stage(NAME, {"file_contexts": CONTEXTS})
    assert done.status == 1
    assert f"error: /{selinux.RECORD} is" in done.log


def test_a_record_that_is_a_link_is_not_followed(policy: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps([{"file_contexts": "/x"}]))
    (policy / selinux.RECORD).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(selinux.RecordError):
        selinux.read(str(policy))
