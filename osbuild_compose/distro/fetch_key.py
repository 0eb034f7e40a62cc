"""Public keys that a blueprint names by address and fingerprint: fetched once, checked, kept.

The only place of the frontend that uses the network. What is kept is used from then on, so that the same blueprint
goes on giving the same pipeline.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.distro.openpgp import fingerprints
from osbuild_compose.distro.repository import KeyAddress, Repository
from osbuild_compose.errors import InputError

MAX_BYTES = 1024 * 1024
TIMEOUT = 30  # seconds


def fetched(blueprint: Blueprint, environ: Mapping[str, str]) -> Blueprint:
    """The blueprint with the texts of all keys of its repositories. Raises InputError for one that cannot be had."""
    own = tuple(_complete(item, blueprint, environ) for item in blueprint.repositories.own)
    return replace(blueprint, repositories=replace(blueprint.repositories, own=own))


def _complete(repository: Repository, blueprint: Blueprint, environ: Mapping[str, str]) -> Repository:
    if not repository.key_addresses:
        return repository
    try:
        texts = tuple(_text(address, cache(environ)) for address in repository.key_addresses)
    except ValueError as error:
        where = blueprint.document.at_key(["repositories"]) if blueprint.document else None
        raise InputError(str(error), hint="check the address and the fingerprint", location=where) from None
    return replace(repository, keys=(*repository.keys, *texts), key_addresses=())


def cache(environ: Mapping[str, str]) -> Path:
    """The directory where keys are kept."""
    base = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".cache"
    return Path(base) / "osbuild-compose" / "keys"


def _text(address: KeyAddress, directory: Path) -> str:
    kept = directory / f"{address.fingerprint}.asc"
    if kept.is_file():
        text = kept.read_text(encoding="ascii", errors="replace")
        _check(text, address, f"the key kept in {kept}")
        return text
    text = _download(address.url)
    _check(text, address, f"the key at {address.url}")
    _keep(text, kept)
    return text


def _check(text: str, address: KeyAddress, what: str) -> None:
    """Raise ValueError unless it is that key, and no other beside it, which would be trusted as well."""
    try:
        found = fingerprints(text)
    except ValueError as error:
        raise ValueError(f"{what} cannot be used: {error}") from None
    if found != [address.fingerprint]:
        raise ValueError(f"{what} is another one: its fingerprint is {' and '.join(found) or 'unknown'}")


def _download(url: str) -> str:
    from http.client import HTTPException  # noqa: PLC0415 - few blueprints need what takes so long to import
    from urllib.request import urlopen  # noqa: PLC0415

    try:
        with urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 - the schema lets http and https through only
            raw: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise ValueError(f"the key at {url} cannot be fetched: {error}") from None
    if len(raw) > MAX_BYTES:
        raise ValueError(f"the key at {url} is larger than {MAX_BYTES} bytes")
    return raw.decode("ascii", errors="replace").replace("\r\n", "\n")


def _keep(text: str, place: Path) -> None:
    """Put the file there as a whole. Where that cannot be done the key is fetched again the next time."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=place.parent, delete=False, encoding="ascii", errors="replace"
        ) as new:
            new.write(text)
        os.replace(new.name, place)
    except OSError:
        return
