"""The runner's command line: `python3 -m runner PIPELINE`."""

from runner import signals

if __name__ == "__main__":
    signals.exit_at_once()  # before the other imports, which take as long as much of a short run

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from runner import terminal
from runner.build import RunSettings
from runner.cancellation import Cancellation
from runner.errors import ErrorKind, RunnerError, absolute, environment_error, input_error, interrupted
from runner.events import ActiveSteps, Broadcast, Listener, Monitor, Printer
from runner.manifest import formats
from runner.manifest.document import decode, open_file
from runner.sandbox import limits, supervisor
from runner.sandbox.limits import Limits
from runner.session import Session
from runner.sources.fetch import read_secrets
from runner.store.maintenance import parse_size

CHUNK = 1 << 20
MAX_DOCUMENT = 512 << 20  # bytes; the files of a blueprint are carried in its pipeline


MONITOR_HINT = "for example: python3 -m runner --monitor-fd 3 pipeline.json 3> events.jsonl"


def parser() -> argparse.ArgumentParser:
    """The command line's definition."""
    parse = argparse.ArgumentParser(
        prog="python3 -m runner", description="Build operating system images", allow_abbrev=False
    )
    add = parse.add_argument
    add("pipeline", metavar="PIPELINE", nargs="+", help="JSON file with a pipeline to build, or - for stdin")
    add("--build-env", metavar="ENV", help="JSON file that describes the build environment")
    add("--store", metavar="DIRECTORY", default=".osbuild", help="where layers and images are kept (default: .osbuild)")
    add("-l", "--libdir", metavar="DIRECTORY", action="append", default=[], help="stages and assemblers of your own")
    add("--json", action="store_true", help="print the result as one JSON document")
    add("--output-directory", metavar="DIRECTORY", help="put the assembler's output there")
    add(
        "--export",
        metavar="ID",
        action="append",
        default=[],
        help="put the tree of this stage there as well, as a directory",
    )
    add("--checkpoint", metavar="ID", action="append", default=[], help="keep this tree in the store (all are kept)")
    add("--sources", metavar="FILE", help="JSON file with sources, instead of those in the manifest")
    add(
        "--secrets",
        metavar="FILE",
        help="JSON file with credentials for sources, and passphrases",
    )
    add("--inspect", action="store_true", help="print the pipeline with the ids of its parts; run nothing")
    add("--plan", action="store_true", help="print what would be done and why, as JSON; run nothing")
    add("--monitor-fd", metavar="FD", type=int, help="file descriptor for events, one JSON object a line")
    add("--scratch", metavar="DIRECTORY", help="where trees are worked on (default: tmpfs if it has room)")
    add("--no-overlay", action="store_true", help="make trees by copying, even where overlayfs works")
    add("--jobs", metavar="N", type=_jobs, default=default_jobs(), help="how many pipelines are built at a time")
    add("--cache-size", metavar="SIZE", default="32G", help="size limit of the store, 0 for none (default: 32G)")
    add(
        "--stage-timeout",
        metavar="TIME",
        default=limits.duration(Limits().seconds),
        help="how long a stage may take, such as 30min, 0 for no limit (default: 2h)",
    )
    add("--stage-memory", metavar="SIZE", help="how much memory a stage may use (default: 80 %% of the machine's)")
    add(
        "--stage-processes",
        metavar="N",
        type=_jobs,
        default=Limits().processes,
        help=f"how many processes a stage may have at a time (default: {Limits().processes})",
    )
    add("--debug-shell", action="store_true", help="when a stage fails, open a shell in its sandbox on the terminal")
    add("--parent", metavar="PID", type=int, help="end when this process, which started the runner, ends")
    return parse


def default_jobs() -> int:
    """How many pipelines are built at a time by default."""
    return min(4, len(os.sched_getaffinity(0)))


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 build failed, 2 wrong input or machine, 128 + the signal's number."""
    signals.exit_at_once()
    terminal.open_missing()
    out = sys.stdout = terminal.SafeStream(1, getattr(sys.stdout, "encoding", None))
    sys.stderr = terminal.SafeStream(2, getattr(sys.stderr, "encoding", None))
    args = parser().parse_args(argv)
    supervisor.die_with(args.parent)
    umask = os.umask(0o022)  # the caller's is for what is exported
    try:
        listener = _listener(args)
    except RunnerError as raised:
        raised.print(sys.stderr)
        sys.exit(raised.exit_code)
    started = time.monotonic()
    active = ActiveSteps()
    cancellation = Cancellation()
    session = Session(Broadcast([listener, active]), cancellation)
    error = None
    try:
        _main(args, session, umask)
    except RunnerError as raised:
        error = raised
    except OSError as raised:
        where = f"{raised.filename}: " if raised.filename else ""
        error = RunnerError(ErrorKind.BUILD, f"{where}{raised.strerror or raised}")
    except MemoryError:
        error = environment_error("there is not enough memory", hint="`ulimit -v` shows a limit of the shell's")
    except Exception:
        if cancellation.number is None:  # what is cancelled may fail in any way
            raise
    if cancellation.number is not None:
        error = interrupted()
        if names := active.names():
            error.message = f"interrupted in {', '.join(names)}"
    _report(args, session, error, time.monotonic() - started)
    lost_output = False
    try:
        out.check()
    except RunnerError as lost:
        if error is None:
            lost_output = True
            error = lost
            error.print(sys.stderr)
    if cancellation.number is not None:
        sys.stdout.flush()
        os._exit(signals.exit_code(cancellation.number))  # threads may still wait for something
    if lost_output and out.has_hung_up:
        sys.exit(signals.exit_code(signals.SIGHUP))
    sys.exit(error.exit_code if error else 0)


def _main(args: argparse.Namespace, session: Session, umask: int) -> None:
    build_env = _document(args.build_env)
    sources = _document(args.sources)
    manifests = [formats.load(decode(_read(path), path), build_env, sources) for path in args.pipeline]
    if args.inspect:
        for manifest in manifests:
            print(json.dumps(formats.describe(manifest), indent=2, sort_keys=True))
        return
    settings = RunSettings(
        store=absolute(args.store),
        libdirs=tuple(absolute(path) for path in args.libdir),
        output_directory=absolute(args.output_directory) if args.output_directory else None,
        scratch=absolute(args.scratch) if args.scratch else None,
        overlay=not args.no_overlay,
        debug_shell=args.debug_shell,
        jobs=1 if args.debug_shell else args.jobs,
        exports=tuple(args.export),
        checkpoints=tuple(args.checkpoint),
        secrets=read_secrets(_document(args.secrets) or {}),
        cache_size=parse_size(args.cache_size),
        umask=umask,
        limits=Limits(
            _duration(args.stage_timeout),
            parse_size(args.stage_memory) if args.stage_memory is not None else Limits().memory,
            args.stage_processes,
        ),
        parent=args.parent,
    )
    if args.plan:
        print(json.dumps(session.plan(manifests, settings), indent=2))
        return
    session.build(manifests, settings)


def _duration(text: str) -> float:
    try:
        return limits.parse_duration(text)
    except ValueError as error:
        raise input_error(f"--stage-timeout: {error}") from None


def _document(path: str | None) -> Any:
    return None if path is None else decode(_read(path), path)


def _read(path: str) -> bytes:
    """The content of a file, or of standard input for "-". Raises RunnerError (input)."""
    try:
        with os.fdopen(0, "rb", closefd=False) if path == "-" else open_file(path) as file:
            data = bytearray()
            while len(data) <= MAX_DOCUMENT and (chunk := file.read(CHUNK)):
                data += chunk
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise input_error(f"{path}: cannot be read: {reason}") from None
    if len(data) > MAX_DOCUMENT:
        raise input_error(f"{path}: larger than {MAX_DOCUMENT >> 20} MiB")
    return bytes(data)


def _listener(args: argparse.Namespace) -> Listener:
    listeners: list[Listener] = []
    if args.monitor_fd is not None:
        listeners.append(Monitor(_writable(args.monitor_fd)))
    if not (args.json or args.plan or args.monitor_fd is not None):
        listeners.append(Printer(sys.stdout))
    return Broadcast(listeners)


def _writable(fd: int) -> int:
    """The descriptor. Raises RunnerError (input) if it is not open for writing."""
    try:
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    except (OSError, OverflowError, ValueError):
        raise input_error(f"--monitor-fd {fd}: this file descriptor is not open", hint=MONITOR_HINT) from None
    if mode == os.O_RDONLY:
        raise input_error(f"--monitor-fd {fd}: this file descriptor is not open for writing", hint=MONITOR_HINT)
    return fd


def _report(args: argparse.Namespace, session: Session, error: RunnerError | None, seconds: float) -> None:
    """Report how the run ended: as events, and as JSON or text on stdout and stderr."""
    if error:
        session.emit("error", **error.fields())
    result = session.result(seconds, success=error is None)
    if not (args.inspect or args.plan):
        session.emit("result", **result)
    if args.json:
        steps = {"stages": session.steps(), "error": error.fields() if error else None}
        print(json.dumps({**result, **steps}, sort_keys=True))
    elif args.monitor_fd is None:
        if error:
            error.print(sys.stderr)
        elif not (args.inspect or args.plan):
            print(f"tree id: {result['tree_id']}\noutput id: {result['output_id']}")


if __name__ == "__main__":
    main()
