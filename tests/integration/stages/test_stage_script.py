"""org.osbuild.script; scripts that run are tested on a real tree."""

from tests.integration.stages.stage_programs import RunStage

NAME = "org.osbuild.script"


def test_without_the_interpreter(run_stage: RunStage) -> None:
    result = run_stage(NAME, {"script": "#! /usr/bin/python3 -u\nprint()"})
    assert result.status == 1
    assert "error: the tree has no /usr/bin/python3" in result.log


def test_without_a_shell(run_stage: RunStage) -> None:
    assert "error: the tree has no /bin/sh" in run_stage(NAME, {"script": "true"}).log
