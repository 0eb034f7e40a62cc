"""Running stages on a plain directory, as root or as any user who may make a user namespace."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.integration.stages.stage_programs import STAGES, Result, RunStage, schema, write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty tree."""
    made = tmp_path / "tree"
    made.mkdir()
    return made


@pytest.fixture
def debian(tree: Path) -> Path:
    """A tree that says it is Debian, and nothing more."""
    write(tree, "etc/os-release", 'ID=debian\nNAME="Debian GNU/Linux"\n')
    return tree


@pytest.fixture
def run_stage(tree: Path) -> RunStage:
    """Run a stage's program on the tree with options that its schema accepts."""

    def run(name: str, options: dict[str, Any]) -> Result:
        jsonschema.validate(options, schema(name), jsonschema.Draft7Validator)
        # Stages run as uid 0 of something: for an ordinary user, of a user namespace.
        become_root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--"]
        done = subprocess.run(
            [*become_root, str(STAGES / name)],
            input=json.dumps({"tree": str(tree), "options": options}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "SOURCE_DATE_EPOCH": "1700000000"},
            check=False,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return Result(done.returncode, done.stdout)

    return run
