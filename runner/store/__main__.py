"""`python3 -m runner.store`: maintenance of a store. `compose cache` prints its results for people."""

from runner import signals

if __name__ == "__main__":
    signals.exit_at_once()  # before the other imports, which take as long as much of a short command

import argparse
import functools
import json
import sys
from collections.abc import Sequence

from runner import terminal
from runner.errors import RunnerError, absolute, build_error, environment_error, input_error, printable
from runner.sandbox import namespace, supervisor
from runner.store import maintenance
from runner.store.maintenance import parse_size
from runner.store.scratch_place import clear_scratch
from runner.store.store import Store


def parser() -> argparse.ArgumentParser:
    """The command line's definition."""
    parse = argparse.ArgumentParser(
        prog="python3 -m runner.store", description="List, measure, prune and verify a store", allow_abbrev=False
    )
    parse.add_argument("--store", metavar="DIRECTORY", default=".osbuild", help="the store (default: .osbuild)")
    parse.add_argument("--parent", metavar="PID", type=int, help="end when this process, which started it, ends")
    commands = parse.add_subparsers(dest="command", required=True)
    add = functools.partial(commands.add_parser, allow_abbrev=False)
    add("ls", help="print what is in it, as JSON lines, the least recently used first")
    add("du", help="print how large it is, as JSON")
    prune = add("prune", help="remove the least recently used entries")
    prune.add_argument("--keep", metavar="SIZE", help="until at most this much is left, such as 10G")
    prune.add_argument("--days", metavar="N", type=_number, help="only what was not used for N days")
    add("verify", help="read every byte; remove what is damaged and say so (exit code 1)")
    add("clear", help="remove everything, also the scratch directory in memory")
    return parse


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # which is refused with a message of ours


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0 done, 1 something was damaged or in use, 2 wrong input."""
    signals.exit_at_once()
    terminal.open_missing()
    out = sys.stdout = terminal.SafeStream(1, getattr(sys.stdout, "encoding", None))
    sys.stderr = terminal.SafeStream(2, getattr(sys.stderr, "encoding", None))
    args = parser().parse_args(argv)
    supervisor.die_with(args.parent)
    try:
        code = _run(args)
        out.check()
        return code
    except RunnerError as raised:
        error = raised
    except OSError as raised:
        where = f"{raised.filename}: " if raised.filename else ""
        error = environment_error(f"{where}{raised.strerror or raised}")
    error.print(sys.stderr)
    return error.exit_code


def _run(args: argparse.Namespace) -> int:
    where = absolute(args.store)
    if not (where / "layers").is_dir():
        problem = "is not a store" if where.exists() else "does not exist: nothing was built with this store yet"
        raise input_error(f"{where} {problem}", hint="--store takes the directory that builds use")
    if args.command in ("prune", "clear", "verify"):
        namespace.enter()  # leftovers of killed builds, and scratch, have files of other owners
    store = Store(where, _say)
    try:
        entries = maintenance.entries(store)
        if args.command == "ls":
            for entry in entries:
                print(json.dumps(entry.fields(), sort_keys=True))
        elif args.command == "du":
            sizes = {kind.value: sum(e.size for e in entries if e.kind is kind) for kind in maintenance.EntryKind}
            print(json.dumps({**sizes, "total": sum(sizes.values())}, sort_keys=True))
        elif args.command == "verify":
            damaged = maintenance.verify(store, entries)
            for entry in damaged:
                print(json.dumps(entry.fields(), sort_keys=True))
            return 1 if damaged else 0
        else:
            _make_room(store, entries, args)
    finally:
        store.close()
    return 0


def _say(message: str) -> None:
    print(f"note: {printable(message)}", file=sys.stderr, flush=True)


def _make_room(store: Store, entries: list[maintenance.Entry], args: argparse.Namespace) -> None:
    store.sweep()
    if not store.only_user():
        raise build_error(f"the store is in use by a build: {store.others()}", hint="try again when it has ended")
    if args.command == "clear":
        removed = maintenance.prune(store, entries, keep_bytes=-1)
        maintenance.remove_logs(store)
        clear_scratch(store)
    elif args.keep is None and args.days is None:
        raise input_error("prune: say how much to keep with --keep, or how old with --days")
    else:
        size = parse_size(args.keep) if args.keep is not None else None
        since = maintenance.days_ago(args.days) if args.days is not None else None
        removed = maintenance.prune(store, entries, keep_bytes=size, unused_since=since)
        maintenance.remove_logs(store, since)
    size = sum(entry.size for entry in removed)
    left = sum(entry.size for entry in entries) - size
    print(json.dumps({"removed": len(removed), "bytes": size, "left": left}, sort_keys=True))


if __name__ == "__main__":
    sys.exit(main())
