"""The first blueprint that `compose init` writes, and defaults for what it contains."""

import getpass
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose.blueprint.values import credentials
from osbuild_compose.document import input_file
from osbuild_compose.errors import InputError

DEFAULT_NAME = "my-image"
# Services whose package or unit has another name; templates know the names of units on other distributions.
_SERVICES = {"ssh": ("openssh-server", "sshd"), "sshd": ("openssh-server", "sshd"), "chrony": ("chrony", "chronyd")}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
MAX_KEY = 64 * 1024  # bytes of a public key
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@-]*")


def matching(pattern: re.Pattern[str], what: str, text: str) -> str:
    """The text. Raises InputError unless all of it matches the pattern; `what` is what it is meant to be."""
    if not pattern.fullmatch(text):
        raise InputError(f"`{text}` cannot be a {what}", hint="letters, digits, `-` and `_`")
    return text


def packages_and_units(text: str) -> list[tuple[str, str]]:
    """Package and unit of each service."""
    check_services(text)
    return [_SERVICES.get(name, (name, name)) for name in dict.fromkeys(text.split())]


def check_services(text: str) -> None:
    """Raise InputError unless these, separated by spaces, are names of services."""
    for name in text.split():
        matching(_SERVICE, "service", name)


def release_of_this_machine(releases: Sequence[str]) -> str:
    """This machine's own release if it is one of the releases, or else a default."""
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
        fields = dict(line.split("=", 1) for line in lines if "=" in line)
    except (OSError, UnicodeDecodeError):
        fields = {}
    own = "-".join(fields.get(key, "").strip('"') for key in ("ID", "VERSION_ID"))
    return own if own in releases else "debian-13"


def suggested_user() -> str:
    """The name of the current user, or "admin" for root."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return name if USER.fullmatch(name) and name != "root" else "admin"


def key_in() -> Path | None:
    """A public key of the user's ~/.ssh, the modern kind first."""
    try:
        directory = Path.home() / ".ssh"
    except RuntimeError:  # there is no home directory
        return None
    names = ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub")
    found = [directory / name for name in names if (directory / name).is_file()]
    return next(iter([*found, *sorted(directory.glob("*.pub"))]), None)


def expanded(name: str) -> Path:
    """The path, with the user's home directory for ~. Raises InputError for a user without one."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise InputError(f"{name}: there is no such home directory") from None


def read_key(path: Path) -> str:
    """The public SSH key in a file. Raises InputError if there is none."""
    try:
        lines = input_file.text(path, MAX_KEY).splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', 'not text')}") from None
    key = next((line.strip() for line in lines if re.match(r"(ssh-|ecdsa-|sk-)\S+ +\S+", line.strip())), None)
    if key is None:
        raise InputError(f"{path} is no public SSH key", hint="it is a file like ~/.ssh/id_ed25519.pub")
    for problem in credentials.ssh_key_problems(key):
        raise InputError(f"{path}: {problem.brief}", hint="--ssh-key names another file")
    return key


def _quoted(text: str) -> str:
    """The text in YAML: in quotes where it could be taken for something else."""
    is_plain = re.fullmatch(r"[A-Za-z]+[.-][A-Za-z0-9.-]*[A-Za-z0-9]|[A-Za-z]{4,}", text)
    return text if is_plain and text.lower() not in ("true", "false", "null") else json.dumps(text)


def text(name: str, distro: str, user: str, key: str | None, services: Sequence[tuple[str, str]]) -> str:
    """The blueprint as YAML, with comments; services are their packages and units."""
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
