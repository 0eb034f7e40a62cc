"""The command line with the real runner."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PIPELINE = {
    "stages": [
        {"name": "org.osbuild-compose.files", "options": {"files": [{"path": "/hello", "content": "hello\n"}]}},
    ],
    "assembler": {"name": "org.osbuild.tar", "options": {"filename": "hello.tar"}},
}


def run(tmp_path: Path, pipeline: object, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "osbuild_compose",
            "run",
            "-",
            "-o",
            "out",
            "--store",
            str(tmp_path / "store"),
            *arguments,
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPO), "TERM": "dumb"},
        input=json.dumps(pipeline),
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_image_lands_in_the_directory_and_the_second_time_nothing_runs(tmp_path: Path) -> None:
    done = run(tmp_path, PIPELINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/out/hello.tar\n"
    assert (tmp_path / "out/hello.tar").stat().st_size > 0
    assert "[1/2] org.osbuild-compose.files ...\n" in done.stderr
    again = json.loads(run(tmp_path, PIPELINE, "--json").stdout)
    assert again["success"]
    assert again["images"][0]["files"] == [f"{tmp_path}/out/hello.tar"]
    assert "org.osbuild.tar: cached" in run(tmp_path, PIPELINE).stderr


def test_a_stage_that_fails(tmp_path: Path) -> None:
    done = run(tmp_path, {"stages": [{"name": "org.osbuild.error", "options": {"returncode": 7}}]})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "org.osbuild.error: failed after" in done.stderr
    assert "(exit status 7)" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_that_a_stage_does_not_know(tmp_path: Path) -> None:
    done = run(tmp_path, {"stages": [{"name": "org.osbuild.hostname", "options": {"hostnam": "a"}}]})
    assert done.returncode == 2
    assert "hostnam" in done.stderr
