"""Public keys that sign packages: reads, checks and fetches them.

The only part of the frontend that uses the network. A fetched key is kept and used from then on, so that the same
blueprint keeps giving the same pipeline.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from osbuild_compose import signals, user_cache
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import ANY_KEY, ARMOUR, KeyAddress, Repository
from osbuild_compose.document import input_file
from osbuild_compose.errors import HostError, TemplateError

MAX_BYTES = 1024 * 1024
TIMEOUT = 30  # seconds

_PACKAGED = Path("/usr/share/distribution-gpg-keys")
_PRIMARY_KEY = re.compile(r"^pub:.*\n(?:rvk:.*\n)*fpr:+(\w+):", re.MULTILINE)


def read(release: Release) -> Release:
    """The release with its repositories' keys as texts. Raises TemplateError when one cannot be read.

    For the release that is built only: a file that a package of this machine brings may be missing, which does not
    matter to other releases.
    """
    repositories = (
        replace(item, keys=tuple(_text(release, key) for key in item.keys)) for item in release.repositories
    )
    return replace(release, repositories=tuple(repositories))


def _text(release: Release, key: str) -> str:
    if ANY_KEY in key:
        return key
    path = Path(key)
    try:
        text = input_file.text(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TemplateError(f"{release.name}: cannot read the key {path}: {reason}", hint=missing_hint(path)) from None
    if release.family.is_signed and ARMOUR not in text:
        raise TemplateError(f"{release.name}: {path} is not an armoured public key")
    return text


def missing_hint(path: Path) -> str:
    """What to do about a key file that does not exist."""
    return "install the package distribution-gpg-keys" if path.is_relative_to(_PACKAGED) else ""


@cache
def fingerprints(text: str) -> tuple[str, ...]:
    """The fingerprints, in upper-case hexadecimal digits, of all primary keys in armoured text.

    Raises ValueError for text that is no such key, HostError when this machine has no gpg.
    """
    if ARMOUR not in text:
        raise ValueError("it is not an armoured public key")
    with signals.tidied(), tempfile.TemporaryDirectory(prefix="compose-") as home:
        # Without configuration or keys of the user or the machine, and without a daemon.
        private = ["--homedir", home, "--no-options", "--no-keyring", "--no-autostart"]
        argv = ["gpg", *private, "--batch", "--no-tty", "--show-keys", "--with-colons"]
        try:
            done = subprocess.run(
                argv, input=text.encode(errors="replace"), capture_output=True, timeout=TIMEOUT, check=False
            )
        except FileNotFoundError:
            raise HostError(
                "gpg is missing on this machine, which reads public keys",
                hint="apt install gpg (Debian) or dnf install gnupg2 (Fedora)",
            ) from None
        except (OSError, subprocess.SubprocessError) as error:
            raise ValueError(f"gpg cannot read it: {error}") from None
    if done.returncode:
        raise ValueError("it is damaged")
    return tuple(_PRIMARY_KEY.findall(done.stdout.decode(errors="replace")))


def problem(text: str) -> str:
    """What is wrong with an armoured public key; "" if nothing is, or if this machine has no gpg."""
    try:
        return "" if fingerprints(text) else "it has no public key in it"
    except ValueError as error:
        return str(error)
    except HostError:
        return ""


def with_fetched_keys(repository: Repository, environ: Mapping[str, str]) -> Repository:
    """The repository with the texts of all its keys. Raises ValueError for one that cannot be fetched."""
    texts = tuple(_fetched(address, cache_directory(environ)) for address in repository.key_addresses)
    return replace(repository, keys=(*repository.keys, *texts), key_addresses=()) if texts else repository


def cache_directory(environ: Mapping[str, str]) -> Path:
    """The directory where fetched keys are kept."""
    return user_cache.home(environ) / "osbuild-compose" / "keys"


def _fetched(address: KeyAddress, directory: Path) -> str:
    kept = directory / f"{address.fingerprint}.asc"
    if kept.is_file():
        text = input_file.read(kept, MAX_BYTES).decode("ascii", errors="replace")
        _check(text, address, f"the key kept in {kept}")
        return text
    text = _download(address.url)
    _check(text, address, f"the key at {address.url}")
    _keep(text, kept)
    return text


def _check(text: str, address: KeyAddress, what: str) -> None:
    """Raise ValueError unless the text is that key alone: any other key in it would be trusted, too."""
    try:
        found = fingerprints(text)
    except ValueError as error:
        raise ValueError(f"{what} cannot be used: {error}") from None
    if found != (address.fingerprint,):
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
    """Write the file in one step. Where that is not possible the key is fetched again the next time."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=place.parent, delete=False, encoding="ascii", errors="replace"
        ) as new:
            new.write(text)
        os.replace(new.name, place)
    except OSError:
        return
