"""org.osbuild.groups; making groups is tested on a real tree."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.groups"


@pytest.fixture
def accounts(tree: Path) -> Path:
    """A tree with the group adm, and a program that is never reached."""
    write(tree, "etc/group", "root:x:0:\nadm:x:4:\nnonsense\n")
    write(tree, "usr/sbin/groupadd")
    return tree


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"adm": {"gid": 5}}, "the group 'adm' already exists with gid 4"),
        ({"new": {"gid": 4}}, "the group 'new' cannot have gid 4: 'adm' has it"),
        ({"new": {"gid": "4"}}, "the group 'new' cannot have gid 4: 'adm' has it"),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_what_is_taken(run_stage: RunStage, groups: dict[str, Any], message: str) -> None:
    result = run_stage(NAME, {"groups": groups})
    assert result.status == 1
    assert f"error: {message}" in result.log


@pytest.mark.parametrize("fields", [{}, {"gid": 4}, {"gid": "4"}])
def test_what_is_there_is_kept(accounts: Path, run_stage: RunStage, fields: dict[str, Any]) -> None:
    before = (accounts / "etc/group").read_text()
    result = run_stage(NAME, {"groups": {"adm": fields}})
    assert (result.status, result.log) == (0, "")
    assert (accounts / "etc/group").read_text() == before


def test_without_groupadd(run_stage: RunStage) -> None:
    result = run_stage(NAME, {"groups": {"ops": {}}})
    assert result.status == 1
    assert "the tree has no `groupadd`" in result.log


@pytest.mark.parametrize("groups", [{"": {}}, {"-r": {}}, {"a b": {}}, {"a:b": {}}, {"a\n": {}}, {"a": {"gid": -1}}])
def test_refuses(groups: dict[str, Any]) -> None:
    assert not accepts(NAME, {"groups": groups})
