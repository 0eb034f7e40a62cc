"""`python3 -m runner.machine`: what this machine has and lacks for building, as JSON for `compose doctor`."""

from runner import signals

if __name__ == "__main__":
    signals.exit_at_once()  # before the other imports, which take as long as much of the command

import argparse
import json
import sys
from collections.abc import Sequence

from runner import terminal, tools
from runner.errors import RunnerError, absolute
from runner.machine import attempts, facts
from runner.machine.finding import State
from runner.machine.judge import judge
from runner.sandbox import supervisor


def parser() -> argparse.ArgumentParser:
    """The command line's definition."""
    parse = argparse.ArgumentParser(
        prog="python3 -m runner.machine", description="Print what this machine has and lacks", allow_abbrev=False
    )
    parse.add_argument("--store", metavar="DIRECTORY", default=".osbuild", help="the store (default: .osbuild)")
    parse.add_argument("--parent", metavar="PID", type=int, help="end when this process, which started it, ends")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 builds are possible, 1 they are not, 2 wrong input."""
    signals.exit_at_once()
    terminal.open_missing()
    out = sys.stdout = terminal.SafeStream(1, getattr(sys.stdout, "encoding", None))
    sys.stderr = terminal.SafeStream(2, getattr(sys.stderr, "encoding", None))
    args = parser().parse_args(argv)
    supervisor.die_with(args.parent)
    try:
        here = facts.gather(absolute(args.store))
        findings = [*attempts.attempt(here), *judge(here)]
        possible = all(finding.state is not State.BLOCKING for finding in findings)
        report = {
            "system": tools.system_name(here.os_release),
            "family": tools.family(here.os_release).value,
            "builds_possible": possible,
            "findings": [finding.fields() for finding in findings],
        }
        print(json.dumps(report))
        out.check()
        return 0 if possible else 1
    except RunnerError as error:
        error.print(sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
