"""The formats of manifest documents, each in a module named after its version: v1.py is format 1.

Such a module has `load(document, build_env, sources)`, which returns a Manifest or raises RunnerError (input), and
`describe(manifest, ids)`, which returns the document again, with the ids of its parts if `ids` is set.
"""

import importlib
import pkgutil
import re
from typing import Any, Protocol, cast

from runner import manifest as package
from runner.errors import input_error
from runner.manifest.document import kind_of
from runner.manifest.model import Manifest

DEFAULT = "1"  # a document of format 1 does not name it


class Format(Protocol):
    """What the module of a format defines."""

    def load(self, document: Any, build_env: Any = None, sources: Any = None) -> Manifest:
        """The manifest in a decoded document; build_env and sources are those of --build-env and --sources."""

    def describe(self, manifest: Manifest, *, ids: bool = True) -> dict[str, Any]:
        """The manifest as a document, with or without the ids of its parts."""


def versions() -> list[str]:
    """The versions that can be read, the oldest first."""
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted((name[1:] for name in names if re.fullmatch(r"v[0-9]+", name)), key=int)


def load(document: Any, build_env: Any = None, sources: Any = None) -> Manifest:
    """The manifest in a decoded document, read by the format that its key `version` names.

    build_env and sources are the decoded documents of --build-env and --sources. Raises RunnerError (input).
    """
    version = document.get("version", DEFAULT) if isinstance(document, dict) else DEFAULT
    if not isinstance(version, str):
        raise input_error(f"version: expected text, found {kind_of(version)}")
    return _format(version).load(document, build_env, sources)


def describe(manifest: Manifest, *, ids: bool = True) -> dict[str, Any]:
    """The manifest as a document in its own format, with or without the ids of its parts."""
    return _format(manifest.version).describe(manifest, ids=ids)


def _format(version: str) -> Format:
    known = versions()
    if version not in known:
        raise input_error(f"version: {version!r} is not a known format", hint=f"known: {', '.join(known)}")
    return cast(Format, importlib.import_module(f"{package.__name__}.v{version}"))
