"""org.osbuild.error"""

from tests.integration.stages.stage_programs import RunStage


def test_fails_as_asked(run_stage: RunStage) -> None:
    assert run_stage("org.osbuild.error", {}).status == 255
    assert run_stage("org.osbuild.error", {"returncode": 3}).status == 3
