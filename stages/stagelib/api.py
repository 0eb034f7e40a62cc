"""The stage's end of the runner's interface: arguments in, progress out."""

import json
import os
import sys
from typing import Any

PROGRESS = "COMPOSE_PROGRESS_FD"


def arguments() -> dict[str, Any]:
    """Read the arguments that the runner wrote to standard input.

    Returns the object of DESIGN section 7: "tree" (path), "options" (object, {} when the pipeline has none), and
    "output_dir" (path) for an assembler. The same JSON lies at /run/osbuild/api/arguments.
    """
    args: dict[str, Any] = json.load(sys.stdin)
    return args


def progress(done: int, total: int, unit: str = "bytes") -> None:
    """Report how far the stage is; does nothing where nobody listens.

    done and total count in `unit`. The runner hands over a pipe's descriptor in COMPOSE_PROGRESS_FD and reads one
    JSON object a line from it.
    """
    if not has_listener():
        return
    line = json.dumps({"done": done, "total": total, "unit": unit}) + "\n"
    os.write(int(os.environ[PROGRESS]), line.encode())


def has_listener() -> bool:
    """Whether anybody listens to progress()."""
    return PROGRESS in os.environ


def fail(message: str, hint: str = "") -> int:
    """Print what went wrong, and what to do about it, to the stage's log; returns exit status 1."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    if hint:
        print(f"hint: {hint}", file=sys.stderr, flush=True)
    return 1
