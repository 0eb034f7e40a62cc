"""`--repo`: repositories named on the command line, as NAME=URL or in a file such as those of dnf."""

import configparser
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from osbuild_compose.distro.keys import MAX_BYTES, missing_hint
from osbuild_compose.distro.repository import ARMOUR, NamedRepository
from osbuild_compose.document import input_file
from osbuild_compose.errors import InputError

_NAMED = re.compile(r"(?P<id>[A-Za-z0-9_.:-]+)=(?P<url>.*)")
_PLACES = ("baseurl", "mirrorlist", "metalink")
_NO = {"0", "no", "false", "off"}


def parse(repos: Sequence[str], key_files: Sequence[Path]) -> tuple[NamedRepository, ...]:
    """The repositories that `--repo` names, all signed by the keys of `--repo-key` unless they have their own.

    Raises InputError for what is neither NAME=URL nor such a file, and for a key that cannot be read.
    """
    if key_files and not repos:
        raise InputError("--repo-key is the key of a --repo, and none is given")
    keys = tuple(_key(path, f"--repo-key {path}") for path in key_files)
    found: dict[str, NamedRepository] = {}
    for repo in repos:
        match = _NAMED.fullmatch(repo)
        for item in [_named(repo, match, keys)] if match else _file(repo, keys):
            if item.id in found:
                raise InputError(f"--repo {repo}: there is already a repository {item.id}")
            found[item.id] = item
    return tuple(found.values())


def _named(repo: str, match: re.Match[str], keys: tuple[str, ...]) -> NamedRepository:
    """The repository NAME=URL. An address whose path ends in metalink or mirrorlist is one, any other is a base URL."""
    url = _checked(match["url"], f"--repo {repo}")
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    place = last if last in _PLACES else "baseurl"
    return _at(NamedRepository(match["id"], keys=keys), place, url)


def _file(repo: str, keys: tuple[str, ...]) -> list[NamedRepository]:
    """The enabled repositories of a file such as those in /etc/yum.repos.d; see dnf.conf(5)."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(input_file.text(Path(repo), MAX_BYTES))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        hint = "give NAME=URL or the name of a .repo file"
        raise InputError(f"--repo {repo}: cannot read it: {reason}", hint=hint) from None
    except configparser.Error as error:
        raise InputError(f"--repo {repo}: not a file of repositories: {error}".replace("\n", " ")) from None
    found = [
        _section(repo, id_, parser[id_], keys)
        for id_ in parser.sections()
        if parser[id_].get("enabled", "1").lower() not in _NO
    ]
    if not found:
        raise InputError(f"--repo {repo}: no repository in it is enabled")
    return found


def _section(repo: str, id_: str, section: configparser.SectionProxy, keys: tuple[str, ...]) -> NamedRepository:
    where = f"--repo {repo}: {id_}"
    # Where a file has several, dnf uses the first of these.
    place = next((place for place in ("metalink", "mirrorlist", "baseurl") if section.get(place)), None)
    if place is None:
        raise InputError(f"{where} has none of {', '.join(_PLACES)}")
    checked = section.get("gpgcheck", "1").lower() not in _NO
    own = keys or tuple(_key(_local(url, where), where) for url in _words(section.get("gpgkey", "")))
    priority = section.get("priority")
    if priority is not None and not re.fullmatch("[0-9]{1,5}", priority):
        raise InputError(f"{where}: the priority {priority} is not a number")
    found = NamedRepository(
        id_,
        name=section.get("name"),
        keys=own if checked else (),
        check_signatures=checked,
        priority=int(priority) if priority else None,
    )
    return _at(found, place, _checked(_words(section[place])[0], where))


def _at(repository: NamedRepository, place: str, url: str) -> NamedRepository:
    places: dict[str, Any] = {place: url}
    return replace(repository, **places)


def _words(value: str) -> list[str]:
    return value.replace(",", " ").split()


def _local(url: str, where: str) -> Path:
    path = Path(url.removeprefix("file://"))
    if not path.is_absolute() or "$" in url:
        hint = "get the key, check its fingerprint, and name its file with --repo-key"
        raise InputError(f"{where}: the key {url} is not on this machine", hint=hint)
    return path


def _key(path: Path, where: str) -> str:
    try:
        text = input_file.text(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        hint = missing_hint(path) or "name the key's file with --repo-key"
        raise InputError(f"{where}: cannot read the key {path}: {reason}", hint=hint) from None
    if ARMOUR not in text:
        hint = "make one with: gpg --armor --export KEY"
        raise InputError(f"{where}: {path} is not an armoured public key", hint=hint)
    return text


def _checked(url: str, where: str) -> str:
    if not re.fullmatch(r"https?://\S+", url):
        raise InputError(f"{where}: {url} is not an address that begins with http:// or https://")
    return url
