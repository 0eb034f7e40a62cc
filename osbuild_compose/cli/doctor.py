"""`compose doctor`: what this machine has and lacks."""

import json
import sys
from pathlib import Path

import typer

from osbuild_compose.doctor.examine import examine
from osbuild_compose.doctor.finding import Examination, State
from osbuild_compose.errors import ExitCode
from osbuild_compose.report import table
from osbuild_compose.report.style import Style


def doctor(store: Path, as_json: bool) -> None:
    """Print what was found, and what to do about what is lacking. Ends with status 1 if nothing can be built here."""
    examination = examine(store, on_note=lambda note: print(note, file=sys.stderr))
    if as_json:
        print(json.dumps(examination.fields(), indent=2, sort_keys=True))
    else:
        _show(examination)
    if not examination.builds_possible:
        raise typer.Exit(ExitCode.BUILD_FAILED)


def _show(examination: Examination) -> None:
    style = Style.for_stream(sys.stdout)
    rows = [(finding.name, finding.state.value, finding.detail) for finding in examination.findings]
    table.show(("what", "state", "found"), rows, sys.stdout)
    for finding in examination.findings:
        if finding.state is State.OK:
            continue
        name = style.red(finding.name) if finding.state is State.BLOCKING else style.yellow(finding.name)
        print(f"\n{name}: {finding.detail}\n  what that costs: {finding.cost}")
        print(f"  {style.cyan('how to mend it')}: {finding.mend}")
    if examination.install:
        print(f"\nall missing packages: {examination.install}")
    verdict = "builds are possible" if examination.builds_possible else style.red("builds are not possible")
    print(f"\n{examination.system}: {verdict}")
