"""`compose cache`: lists, cleans and verifies the store.

The store belongs to the runner: `python3 -m runner.store` does the work, and this prints the result.
"""

import json
import sys
from pathlib import Path
from typing import Any

from osbuild_compose.errors import BuildError, InputError
from osbuild_compose.report import style, table
from osbuild_compose.report.steps import amount, duration
from osbuild_compose.runner_client import store_command

KEY = 12  # digits of a key that are shown to people; all of them are in the JSON


def ls(store: Path, as_json: bool) -> None:
    """List what is in the store, what was not used for longest first."""
    entries = _entries(_run(store, "ls"))
    if as_json:
        _print_json(entries)
        return
    rows = [
        (
            entry["what"],
            entry["name"],
            entry["key"][:KEY],
            amount(entry["size"]),
            duration(entry["seconds"]) if entry["seconds"] else "",
            table.ago(entry["used"]),
        )
        for entry in entries
    ]
    table.show(("kind", "made by", "key", ">size", ">made in", ">used"), rows, sys.stdout)
    if style.is_terminal(sys.stdout):
        print(f"{len(rows)} entries, {amount(sum(entry['size'] for entry in entries))}")


def du(store: Path, as_json: bool) -> None:
    """Print the size of the store, by kind."""
    sizes = json.loads(_run(store, "du"))
    if as_json:
        _print_json(sizes)
        return
    kinds = {"layer": "layers", "output": "outputs", "download": "downloads", "total": "total"}
    table.show(("kind", ">size"), [(kinds[kind], amount(size)) for kind, size in sizes.items()], sys.stdout)


def prune(store: Path, keep: str | None, days: float | None, as_json: bool) -> None:
    """Remove what was not used for longest: until `keep` is left, or what was not used for so many days."""
    if keep is None and days is None:
        raise InputError("say how much to keep or how old", hint="for example: compose cache prune --keep 10G")
    arguments = [*([f"--keep={keep}"] if keep is not None else []), *([f"--days={days}"] if days is not None else [])]
    _tell_removed(json.loads(_run(store, "prune", *arguments)), as_json)


def clear(store: Path, as_json: bool) -> None:
    """Remove everything, unpacked layers in memory as well."""
    _tell_removed(json.loads(_run(store, "clear")), as_json)


def verify(store: Path, as_json: bool) -> None:
    """Read every byte. Raises BuildError when something was damaged; it has been removed."""
    damaged = _entries(_run(store, "verify"))
    if as_json:
        _print_json(damaged)
    elif not damaged:
        print("nothing is damaged", file=sys.stderr)
    if damaged:
        raise BuildError(
            f"{len(damaged)} damaged {'entry' if len(damaged) == 1 else 'entries'} in the store, removed",
            details=[f"{entry['what']} {entry['key'][:KEY]} made by {entry['name']}" for entry in damaged],
            hint="the next build that needs them makes them again",
        )


def _run(store: Path, *arguments: str) -> str:
    return store_command(store, *arguments, on_note=lambda note: print(f"note: {note}", file=sys.stderr, flush=True))


def _tell_removed(removed: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(removed)
    else:
        count = removed["removed"]
        print(
            f"removed {count} {'entry' if count == 1 else 'entries'}, {amount(removed['bytes'])}; "
            f"{amount(removed['left'])} left",
            file=sys.stderr,
        )


def _entries(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, sort_keys=True))
