"""The examples of docs/reference/python-api.md run, and its names are those of the package."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import osbuild_compose
from tests.conftest import REPO

PAGE = (REPO / "docs/reference/python-api.md").read_text()
_BLOCK = re.compile(r"(<!-- not run[^\n]*-->\n)?```python\n(.*?)```\n", re.DOTALL)


def test_the_examples_run(tmp_path: Path) -> None:
    blocks = _BLOCK.findall(PAGE)
    assert len(blocks) == PAGE.count("```python")
    for skipped, code in blocks:
        compile(code, "python-api.md", "exec")
        assert skipped or "assert" in code
    script = tmp_path / "examples.py"
    script.write_text("\n".join(code for skipped, code in blocks if not skipped))
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_page_names_the_interface() -> None:
    for name in osbuild_compose.__all__:
        assert getattr(osbuild_compose, name) is not None
        assert name in PAGE or name == "__version__"
    assert sorted(osbuild_compose._MODULES) == sorted(osbuild_compose.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        osbuild_compose.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, osbuild_compose; print([name for name in sys.modules if name.startswith('osbuild_compose.')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
