"""What became of a step, and the error for one that failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runner.errors import Kind, RunnerError, environment_error
from runner.plan import Act, Step

BWRAP = "bwrap: "  # what bubblewrap's own messages begin with


@dataclass(frozen=True)
class Result:
    """What became of one step; returncode and output only of those that ran."""

    step: Step
    act: Act
    success: bool
    seconds: float = 0.0
    output: str = ""
    returncode: int = 0

    def fields(self) -> dict[str, Any]:
        """The result as JSON values."""
        stage = self.step.stage
        return {
            "what": stage.what.value,
            "id": stage.id,
            "name": stage.name,
            "options": dict(stage.options),
            "success": self.success,
            "cached": self.act is Act.CACHED,
            "output": self.output,
            "returncode": self.returncode,
            "duration": round(self.seconds, 3),
        }


def stage_failure(step: Step, why: str, tail: Sequence[str]) -> RunnerError:
    """The error for a step that failed: what the stage itself said was wrong comes first, where it said so."""
    if tail and tail[-1].startswith(BWRAP):
        return environment_error(
            f"the sandbox of {step.stage.name} could not be made: {tail[-1].removeprefix(BWRAP)}", _bwrap_hint(tail[-1])
        )
    said = [line.removeprefix("error: ") for line in tail if line.startswith("error: ")]
    hints = [line.removeprefix("hint: ") for line in tail if line.startswith("hint: ")]
    message = f"{step.stage.name} {why}" + (f": {said[-1]}" if said else "")
    details = list(tail) if not said else [line for line in tail if not line.startswith(("error: ", "hint: "))]
    return RunnerError(Kind.BUILD, message, details, hints[-1] if hints else "", stage=step.stage.name)


def _bwrap_hint(line: str) -> str:
    """What to do about bubblewrap's own words."""
    if "mount proc" in line:
        return (
            "in a container, parts of /proc are hidden, which no user namespace may undo: "
            "allow that (podman, docker: --security-opt unmask=ALL or systempaths=unconfined), or build as root"
        )
    if "Unknown option" in line:
        return "this bubblewrap is too old: 0.5 or later is needed"
    return "the container, or a security module such as AppArmor, does not let bubblewrap do it; bwrap(1)"


def how_it_ended(returncode: int) -> str:
    """What became of a program, by its exit status or the negative number of a signal."""
    return f"was killed by signal {-returncode}" if returncode < 0 else f"failed with exit code {returncode}"
