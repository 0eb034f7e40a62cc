"""org.osbuild.kernel-cmdline"""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import RunStage

UUID = "9c6ae55b-cf88-45b8-84e8-64990759f39d"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, ""),
        ({"root_fs_uuid": UUID}, f"root=UUID={UUID}"),
        ({"kernel_opts": "ro quiet"}, "ro quiet"),
        ({"root_fs_uuid": UUID, "kernel_opts": "ro"}, f"root=UUID={UUID} ro"),
    ],
)
def test_writes_one_line_without_an_end(tree: Path, run_stage: RunStage, options: dict[str, Any], line: str) -> None:
    assert run_stage("org.osbuild.kernel-cmdline", options).status == 0
    assert (tree / "etc/kernel/cmdline").read_text() == line
