"""org.osbuild.chrony"""

from pathlib import Path

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.chrony"


@pytest.mark.parametrize("path", ["etc/chrony.conf", "etc/chrony/chrony.conf"])
def test_replaces_the_time_sources(tree: Path, run_stage: RunStage, path: str) -> None:
    write(tree, path, "# Use servers\npool 2.example.org iburst\nserver a\n  Server b\ndriftfile /x\n#pool c\n")
    assert run_stage(NAME, {"timeservers": ["one.example.org", "192.0.2.1"]}).status == 0
    assert (tree / path).read_text() == (
        "server one.example.org iburst\nserver 192.0.2.1 iburst\n# Use servers\ndriftfile /x\n#pool c\n"
    )


def test_without_chrony(run_stage: RunStage) -> None:
    result = run_stage(NAME, {"timeservers": ["a"]})
    assert result.status == 1
    assert "add chrony to `packages`" in result.log


@pytest.mark.parametrize("server", ["", "a b", "a\n", "a\nallow all"])
def test_refuses(server: str) -> None:
    assert not accepts(NAME, {"timeservers": [server]})
