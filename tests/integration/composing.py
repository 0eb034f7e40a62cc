"""`compose run` of a pipeline that is JSON already."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.integration.cli.commands import compose


def run(place: Path, document: Any, *arguments: str, store: str = "store") -> subprocess.CompletedProcess[str]:
    """Run it in `place`: what it makes is in place/out, the store is place/store."""
    argv = ("run", "-", "-o", "out", "--store", place / store, *arguments)
    return compose(*argv, cwd=place, stdin=json.dumps(document))
