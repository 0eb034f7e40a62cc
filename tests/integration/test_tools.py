"""Programs that assemblers run: their output is consumed, and their failures are reported."""

import io

import pytest
from stagelib.disk import archive, tools
from stagelib.errors import StageError


def test_failing_tool_is_reported_with_its_last_words() -> None:
    with pytest.raises(tools.ToolError, match="sh failed with status 3: last"):
        tools.run(["sh", "-c", "echo first; echo last >&2; exit 3"])
    with pytest.raises(StageError, match="no space left"):
        tools.run(["sh", "-c", "echo 'write: No space left on device'; exit 1"])


def test_what_a_program_writes_is_consumed_and_its_failure_reported() -> None:
    got = []
    tools.pipe(["sh", "-c", "echo out; echo said >&2"], lambda source: got.append(source.read()))
    assert got == [b"out\n"]
    with pytest.raises(tools.ToolError, match="sh failed with status 2: why"):
        tools.pipe(
            ["sh", "-c", "echo why >&2; exit 2"], lambda source: archive.copy_corrected(source, io.BytesIO(), {})
        )
    with pytest.raises(StageError, match="ends too early"):
        tools.pipe(["true"], lambda source: archive.copy_corrected(source, io.BytesIO(), {}))
