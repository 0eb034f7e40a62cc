"""The keys that sign a release's packages: armoured texts in its distro.yaml, or files that it names.

They are read when the release is built from, not before: one that lies where a package of this machine puts it may be
missing, and other releases have nothing to do with that.
"""

from dataclasses import replace
from pathlib import Path

from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import ARMOUR
from osbuild_compose.errors import TemplateError

_PACKAGED = Path("/usr/share/distribution-gpg-keys")


def read(release: Release) -> Release:
    """The release with its repositories' keys as armoured texts. Raises TemplateError when one cannot be had."""
    repositories = (
        replace(item, keys=tuple(_text(release, key) for key in item.keys)) for item in release.repositories
    )
    return replace(release, repositories=tuple(repositories))


def _text(release: Release, key: str) -> str:
    if ARMOUR in key:
        return key
    path = Path(key)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise TemplateError(f"{release.name}: cannot read the key {path}: {reason}", hint=missing_hint(path)) from None
    if ARMOUR not in text:
        raise TemplateError(f"{release.name}: {path} is not an armoured public key")
    return text


def missing_hint(path: Path) -> str:
    """What to do about a key file that is not there."""
    return "install the package distribution-gpg-keys" if path.is_relative_to(_PACKAGED) else ""
