"""`compose init`: a first blueprint, by asking."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from osbuild_compose.blueprint import load, starter
from osbuild_compose.cli.paths import write_new
from osbuild_compose.distro import catalog
from osbuild_compose.document import reader
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError


@dataclass(frozen=True)
class Given:
    """Answers on the command line; None means that the question is asked."""

    distro: str | None = None
    name: str | None = None
    user: str | None = None
    ssh_key: Path | None = None
    services: Sequence[str] | None = None


def init(path: Path | None, given: Given, templates: Sequence[Path], *, yes: bool, force: bool) -> None:
    """Write a blueprint to `path` and print its name.

    Raises InputError without a terminal to ask questions on, for an invalid answer on the command line, and for a file
    that already exists.
    """
    if not yes and not sys.stdin.isatty():
        raise InputError("compose init asks questions, and there is no terminal", hint="--yes takes the defaults")
    if path and path.exists() and not force:
        raise InputError(f"{path} already exists", hint="--force replaces it")
    ask = _default if yes else _ask
    releases = sorted(catalog.find(templates).releases)
    distro = given.distro or ask(
        "Distribution", starter.release_of_this_machine(releases), lambda text: _release(text, releases)
    )
    _release(distro, releases)
    suggested = path.stem if path and starter.NAME.fullmatch(path.stem) else starter.DEFAULT_NAME
    name = starter.matching(
        starter.NAME, "name", given.name or ask("Name of the image", suggested, _checked(starter.NAME, "name"))
    )
    user = starter.matching(
        starter.USER,
        "user",
        given.user or ask("Your user there", starter.suggested_user(), _checked(starter.USER, "user")),
    )
    found = given.ssh_key or starter.key_in()
    answer = found if given.ssh_key else ask("Public SSH key, a file", str(found or ""), _key_or_nothing)
    key = starter.read_key(starter.expanded(str(answer))) if answer else None
    services = given.services if given.services is not None else ask("Services", "ssh", starter.check_services).split()
    text = starter.text(name, distro, user, key, starter.packages_and_units(" ".join(services)))
    load.check(reader.parse(text.encode(), name), releases)
    target = path or Path(f"{name}.yaml")
    write_new(target, text, force=force)
    print(target)
    if key is None:
        print("note: without a key nobody can log in: put one into `ssh_keys`, or set a `password`", file=sys.stderr)
    print(f"next: compose build {target}", file=sys.stderr)


def _default(_question: str, default: str, _check: Callable[[str], object]) -> str:
    return default


def _ask(question: str, default: str, check: Callable[[str], object]) -> str:
    """The answer, or the default for an empty one; asked again until it is valid."""
    while True:
        print(f"{question} [{default}]: " if default else f"{question}: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise InputError("no answer", hint="--yes takes the defaults")
        answer = line.strip() or default
        try:
            check(answer)
        except InputError as error:
            print(f"  {error.brief}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        else:
            return answer


def _release(text: str, releases: Sequence[str]) -> None:
    if text not in releases:
        raise InputError(f"there is no distribution {text}", hint=did_you_mean(text, releases))


def _checked(pattern: re.Pattern[str], what: str) -> Callable[[str], object]:
    return lambda text: starter.matching(pattern, what, text)


def _key_or_nothing(text: str) -> None:
    if text:
        starter.read_key(starter.expanded(text))
