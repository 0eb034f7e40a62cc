"""Errors of failed steps, each with a command that runs the step again."""

import json
import shlex
import sys
from collections.abc import Sequence

from runner.build import Build, RunSettings
from runner.errors import ErrorKind, RunnerError, environment_error
from runner.manifest import formats
from runner.sandbox.process import Completed
from runner.steps import Step
from runner.store.store import Store

BWRAP = "bwrap: "  # what bubblewrap's own messages begin with


def stage_failure(step: Step, why: str, tail: Sequence[str], ended: Completed) -> RunnerError:
    """The error for a step that failed and why; `tail` is the end of its log.

    The stage's own error message, the last line that begins with "error: ", comes first; "hint: " likewise.
    """
    name = step.call.name
    log = str(ended.log or "")
    if ended.usage.reason:
        return RunnerError(ErrorKind.BUILD, f"{name} {why}", list(tail), ended.usage.hint, stage=name, log=log)
    if tail and tail[-1].startswith(BWRAP):
        message = tail[-1].removeprefix(BWRAP)
        return environment_error(f"the sandbox of {name} could not be made: {message}", _bwrap_hint(message))
    errors = [line.removeprefix("error: ") for line in tail if line.startswith("error: ")]
    hints = [line.removeprefix("hint: ") for line in tail if line.startswith("hint: ")]
    message = f"{name} {why}" + (f": {errors[-1]}" if errors else "")
    details = list(tail) if not errors else [line for line in tail if not line.startswith(("error: ", "hint: "))]
    hint = hints[-1] if hints else ""
    if ended.usage.full:
        message += f" (no space was left in {ended.usage.full})"
        hint = hint or "free space there, or choose other places: --store, and --scratch of `python3 -m runner`"
    return RunnerError(ErrorKind.BUILD, message, details, hint, stage=name, log=log)


def _bwrap_hint(message: str) -> str:
    """What to do about one of bubblewrap's own messages."""
    if "mount proc" in message:
        return (
            "in a container, parts of /proc are hidden, which no user namespace may undo: "
            "allow that (podman, docker: --security-opt unmask=ALL or systempaths=unconfined), or build as root"
        )
    if "Unknown option" in message:
        return "this bubblewrap is too old: 0.5 or later is needed"
    return "the container, or a security module such as AppArmor, does not let bubblewrap do it; bwrap(1)"


def describe_exit(returncode: int) -> str:
    """How a program failed, by its exit status or the negative number of a signal."""
    return f"was killed by signal {-returncode}" if returncode < 0 else f"failed with exit code {returncode}"


def add_command(build: Build, settings: RunSettings, store: Store) -> None:
    """Keep the manifest of a build whose step failed, and add to its error the command that runs it with a shell."""
    error = build.error
    if error is None or error.kind is not ErrorKind.BUILD or not error.stage or error.command:
        return
    text = json.dumps(formats.describe(build.manifest, ids=False), indent=2, sort_keys=True)
    error.manifest = str(store.keep_failed(text.encode()))
    python = "python3" if sys.prefix == sys.base_prefix else sys.executable
    argv = [python, "-m", "runner", "--store", str(store.root)]
    argv += [word for path in settings.libdirs for word in ("--libdir", str(path))]
    argv += ["--scratch", str(settings.scratch)] if settings.scratch else []
    error.command = shlex.join([*argv, "--debug-shell", error.manifest])
