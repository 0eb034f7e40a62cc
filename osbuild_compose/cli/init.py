"""`compose init`: a first blueprint, by asking."""

import getpass
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.values import credentials
from osbuild_compose.cli.write import write_new
from osbuild_compose.distro import catalog
from osbuild_compose.document import reader
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError

DEFAULT_NAME = "my-image"
# Services whose package or unit is called otherwise; templates know the units' names on other distributions.
_SERVICES = {"ssh": ("openssh-server", "sshd"), "sshd": ("openssh-server", "sshd"), "chrony": ("chrony", "chronyd")}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@-]*")


@dataclass(frozen=True)
class Given:
    """What the command line says already; None is asked for."""

    distro: str | None = None
    name: str | None = None
    user: str | None = None
    ssh_key: Path | None = None
    services: Sequence[str] | None = None


def init(path: Path | None, given: Given, templates: Sequence[Path], *, yes: bool, force: bool) -> None:
    """Write a blueprint to `path` and print its name.

    Raises InputError when questions would be asked of nobody, for a wrong answer on the command line, and for a file
    that is there already.
    """
    if not yes and not sys.stdin.isatty():
        raise InputError("compose init asks questions, and there is no terminal", hint="--yes takes the defaults")
    if path and path.exists() and not force:
        raise InputError(f"{path} is there already", hint="--force replaces it")
    ask = _default if yes else _ask
    releases = sorted(catalog.find(templates).releases)
    distro = given.distro or ask("Distribution", _this_machines(releases), lambda text: _release(text, releases))
    _release(distro, releases)
    suggested = path.stem if path and _NAME.fullmatch(path.stem) else DEFAULT_NAME
    name = _matching(_NAME, "name", given.name or ask("Name of the image", suggested, _checked(_NAME, "name")))
    user = _matching(_USER, "user", given.user or ask("Your user there", _user(), _checked(_USER, "user")))
    found = given.ssh_key or _key_in(Path.home() / ".ssh")
    answer = found if given.ssh_key else ask("Public SSH key, a file", str(found or ""), _key_or_nothing)
    key = _key(Path(answer).expanduser()) if answer else None
    services = given.services if given.services is not None else ask("Services", "ssh", _services).split()
    text = _text(name, distro, user, key, _services_of(" ".join(services)))
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
    """The answer, asked for again until it is right; the default for an empty one."""
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


def _matching(pattern: re.Pattern[str], what: str, text: str) -> str:
    if not pattern.fullmatch(text):
        raise InputError(f"`{text}` cannot be a {what}", hint="letters, digits, `-` and `_`")
    return text


def _checked(pattern: re.Pattern[str], what: str) -> Callable[[str], object]:
    return lambda text: _matching(pattern, what, text)


def _services(text: str) -> None:
    for name in text.split():
        _matching(_SERVICE, "service", name)


def _services_of(text: str) -> list[tuple[str, str]]:
    """Package and unit of each service."""
    _services(text)
    return [_SERVICES.get(name, (name, name)) for name in dict.fromkeys(text.split())]


def _this_machines(releases: Sequence[str]) -> str:
    """This machine's own release, if images of it can be made."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
    except (OSError, UnicodeDecodeError):
        fields = {}
    own = "-".join(fields.get(key, "").strip('"') for key in ("ID", "VERSION_ID"))
    return own if own in releases else "debian-13"


def _user() -> str:
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return name if _USER.fullmatch(name) and name != "root" else "admin"


def _key_in(directory: Path) -> Path | None:
    """A public key of the user, the modern kind first."""
    names = ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub")
    found = [directory / name for name in names if (directory / name).is_file()]
    return next(iter([*found, *sorted(directory.glob("*.pub"))]), None)


def _key(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', 'not text')}") from None
    key = next((line.strip() for line in lines if re.match(r"(ssh-|ecdsa-|sk-)\S+ +\S+", line.strip())), None)
    if key is None:
        raise InputError(f"{path} is no public SSH key", hint="it is a file like ~/.ssh/id_ed25519.pub")
    for problem in credentials.ssh_key_problems(key):
        raise InputError(f"{path}: {problem.brief}", hint="--ssh-key names another file")
    return key


def _key_or_nothing(text: str) -> None:
    if text:
        _key(Path(text).expanduser())


def _quoted(text: str) -> str:
    """The text in YAML: in quotes where it could be taken for something else."""
    is_plain = re.fullmatch(r"[A-Za-z]+[.-][A-Za-z0-9.-]*[A-Za-z0-9]|[A-Za-z]{4,}", text)
    return text if is_plain and text.lower() not in ("true", "false", "null") else json.dumps(text)


def _text(name: str, distro: str, user: str, key: str | None, services: Sequence[tuple[str, str]]) -> str:
    packages = ", ".join(_quoted(package) for package, _ in services)
    units = ", ".join(_quoted(unit) for _, unit in services)
    key_line = f"ssh_keys: [{json.dumps(key)}]" if key else '# ssh_keys: ["ssh-ed25519 AAAA... me@laptop"]'
    return f"""\
# What is in the image. All keys: docs/reference/blueprint.md; `compose schema` prints the schema for editors.
name: {_quoted(name)}
distro: {distro} # `compose distros` lists them

packages: [{packages}]
# Started at boot, by their systemd names:
services: {{enabled: [{units}]}}

hostname: {_quoted(re.sub(r"[^A-Za-z0-9-]", "-", name).strip("-"))}
# timezone: Europe/Prague
# locale: en_US.UTF-8

users:
  - name: {user}
    {key_line}
    sudo: nopasswd # may become root without a password, as it has none
    # password: "$6$..." # a hash, as `openssl passwd -6` prints it

# files:
#   - {{path: /etc/motd, content: "Welcome\\n"}}
#   - {{path: /etc/app.conf, source: app.conf, mode: "0600"}} # from beside this file

kernel: {{append: console=ttyS0}} # messages on the serial port, too, where `compose boot` shows them

formats: [qcow2] # or raw, vmdk, vhdx, ... and tar: the files only
"""
