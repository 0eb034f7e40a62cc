"""`compose run` of a pipeline that is JSON already."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import REPO


def run(place: Path, document: Any, *arguments: str, store: str = "store") -> subprocess.CompletedProcess[str]:
    """Run it in `place`: what it makes is in place/out, the store is place/store."""
    argv = [sys.executable, "-m", "osbuild_compose", "run", "-", "-o", "out", "--store", place / store, *arguments]
    return subprocess.run(
        argv,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(REPO), "TERM": "dumb"},
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=False,
    )
