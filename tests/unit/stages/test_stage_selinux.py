"""org.osbuild.selinux on a plain directory: what it needs, and who may do it."""

import os
import shutil
from pathlib import Path

import pytest
from stage_unit import RunStage

CONTEXTS = "etc/selinux/targeted/contexts/files/file_contexts"


def test_a_tree_without_a_policy_is_told(run_stage: RunStage) -> None:
    done = run_stage("org.osbuild.selinux", {"file_contexts": CONTEXTS})
    assert done.status == 1
    assert f"the tree has no {CONTEXTS}" in done.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set SELinux labels")
@pytest.mark.skipif(shutil.which("setfiles") is None, reason="setfiles (policycoreutils) is not installed")
def test_files_get_the_labels_of_the_policy(run_stage: RunStage, tree: Path) -> None:
    policy = tree / CONTEXTS
    policy.parent.mkdir(parents=True)
    policy.write_text("/.*\tsystem_u:object_r:default_t:s0\n/var/www(/.*)?\tsystem_u:object_r:httpd_t:s0\n")
    (tree / "var/www").mkdir(parents=True)
    (tree / "var/www/page").write_text("x")
    done = run_stage("org.osbuild.selinux", {"file_contexts": CONTEXTS})
    assert done.status == 0, done.log
    assert os.getxattr(tree / "var/www/page", "security.selinux") == b"system_u:object_r:httpd_t:s0\0"
