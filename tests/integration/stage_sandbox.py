"""A stage's sandbox in small, to run stages on real trees until the runner does it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from stagelib import chroot

STAGES = Path(__file__).parents[2] / "stages"
TREE = "/run/osbuild/tree"
LIBRARY = "/run/osbuild/lib"
EPOCH = 1_700_000_000  # 2023-11-14


@dataclass(frozen=True)
class Result:
    """How a stage ended: its exit status and its log."""

    status: int
    log: str


def run_stage(tree: Path, name: str, options: dict[str, Any], *, epoch: int = EPOCH) -> Result:
    """Run the stage on the tree: the host's /usr read-only, no network, capabilities as its meta.json asks."""
    meta = json.loads((STAGES / f"{name}.meta.json").read_text())
    jsonschema.validate(options, meta["schema"], jsonschema.Draft7Validator)
    argv = ["bwrap", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    argv += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]
    for link in ("bin", "sbin", "lib", "lib64"):
        argv += ["--symlink", f"usr/{link}", f"/{link}"]
    argv += ["--ro-bind", str(STAGES), LIBRARY, "--bind", str(tree), TREE]
    argv += ["--cap-drop", "ALL"]
    for capability in (*chroot.CAPABILITIES, *meta["capabilities"]):
        argv += ["--cap-add", capability]
    argv += ["--clearenv", "--setenv", "PATH", os.environ["PATH"], "--setenv", "LC_ALL", "C.UTF-8"]
    argv += ["--setenv", "SOURCE_DATE_EPOCH", str(epoch), "--", f"{LIBRARY}/{name}"]
    stdin = json.dumps({"tree": TREE, "options": options})
    done = subprocess.run(
        argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False
    )
    assert "Traceback" not in done.stdout, done.stdout
    return Result(done.returncode, done.stdout)
