"""Finds and reads distro.yaml files, and resolves what they inherit from each other."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osbuild_compose.distro import parsed_files
from osbuild_compose.distro.repository import ANY_KEY
from osbuild_compose.document import input_file, reader
from osbuild_compose.document.reader import Document
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError

FILE = "distro.yaml"
TEMPLATE = "pipeline.yaml.j2"

_TOP_KEY = re.compile(r"([a-z_]+):(?:[ \t]+(.*))?$")
_RELEASE = re.compile(r"( +)([a-z][a-z0-9.-]*):(?:[ \t].*)?$")
_BLANK = re.compile(r"[ \t]*(#.*)?$")


@dataclass(frozen=True)
class Sources:
    """All distro.yaml by their distribution, each distribution's in the order of `directories`.

    Each is read on first use: a build needs only those of one distribution and its ancestors.
    """

    directories: Sequence[Path]
    paths: Mapping[str, tuple[Path, ...]]
    _read: dict[Path, Any] = field(default_factory=dict, compare=False)

    def data(self, name: str, level: int = 0) -> Any:
        """The data of the distribution's distro.yaml at that level. Raises InputError when it cannot be read."""
        path = self.paths[name][level]
        if path not in self._read:
            self._read[path] = _with_absolute_keys(parsed_files.read(path), path.parent)
        return self._read[path]

    def document(self, name: str, level: int = 0) -> Document:
        """The same file with the places of its values, for messages."""
        return reader.read(self.paths[name][level], regular=True)

    def release_names(self, name: str) -> tuple[str, ...]:
        """The names of the distribution's releases, without parsing if possible. Raises InputError as `document`."""
        names: dict[str, None] = {}
        for level, path in enumerate(self.paths[name]):
            found = _scanned(path)
            if found is None or (not found.releases and found.inherits != name):
                data = self.data(name, level)
                content: Mapping[str, Any] = data if isinstance(data, dict) else {}
                releases = content.get("releases")
                found = _Heading(content.get("inherits"), tuple(releases if isinstance(releases, dict) else ()))
            names.update(dict.fromkeys(map(str, found.releases)))
            if found.inherits != name:
                break
        return tuple(names)

    def own_template(self, name: str) -> str | None:
        """The template of that distribution for the template engine, if any directory has one."""
        template = f"{name}/{TEMPLATE}"
        return template if any((directory / template).is_file() for directory in self.directories) else None

    def lineage(self, name: str) -> tuple[str, ...]:
        """The distribution and those that it inherits from, as far as there are any of these names."""
        found: list[str] = []
        parent: Any = name
        while isinstance(parent, str) and parent in self.paths and parent not in found:
            found.append(parent)
            parents = [
                data.get("inherits")
                for level in range(len(self.paths[parent]))
                if isinstance(data := self.data(parent, level), dict)
            ]
            parent = next((other for other in parents if other != parent), None)
        return tuple(found)

    def resolved(self, name: str) -> dict[str, Any]:
        """The data of the distribution on top of what it inherits, with its `template`.

        Raises InputError for a file that cannot be read, a parent or a release that does not exist, and for
        distributions that inherit themselves.
        """
        data = self._resolved(name, 0, ())
        return {"template": f"{name}/{TEMPLATE}", **data} if isinstance(data, dict) else data

    def _resolved(self, name: str, level: int, heirs: tuple[tuple[str, int], ...]) -> Any:
        own = self.data(name, level)
        if not isinstance(own, dict) or not isinstance(parent := own.get("inherits"), str):
            return own
        # Its own name means the distribution of that name in the next directory, which this one overrides.
        same = parent == name
        source = (parent, level + 1 if same else 0)
        if source[1] >= len(self.paths.get(parent, ())) or source in heirs:
            known = parent in self.paths
            reason = "it inherits itself" if known else f"there is no {parent}/{FILE}"
            hint = "" if known else did_you_mean(parent, self.paths)
            place = self.document(name, level).at_value(["inherits"])
            raise InputError(f"cannot inherit {parent}: {reason}", hint=hint, location=place)
        base = self._resolved(*source, (*heirs, (name, level)))
        if not isinstance(base, dict):
            return own
        template = self.own_template(name) or base.get("template", f"{parent}/{TEMPLATE}")
        releases = own.get("releases")
        if isinstance(releases, dict) and not same:
            releases = {key: self._release(key, item, base, (name, level)) for key, item in releases.items()}
            base = {key: value for key, value in base.items() if key != "releases"}
            own = {**own, "releases": releases}
        return _merge({**base, "template": template}, own)

    def _release(self, release: str, item: Any, base: Mapping[str, Any], file: tuple[str, int]) -> Any:
        """The data of a release on top of that of the one that it inherits from `base`."""
        if not isinstance(item, dict) or "inherits" not in item:
            return item
        known, wanted = base.get("releases", {}), item["inherits"]
        if isinstance(known, dict) and wanted in known:
            return _merge(known[wanted], item)
        place = self.document(*file).at_value(["releases", release, "inherits"])
        what = f"cannot inherit {wanted}: the inherited distribution has no such release"
        raise InputError(what, hint=did_you_mean(str(wanted), known), location=place)


def find(directories: Sequence[Path]) -> Sources:
    """All distro.yaml in the directories."""
    found: dict[str, tuple[Path, ...]] = {}
    for directory in directories:
        for path in sorted(directory.glob(f"*/{FILE}")):
            found[path.parent.name] = (*found.get(path.parent.name, ()), path)
    return Sources(directories, found)


@dataclass(frozen=True)
class _Heading:
    """What a distro.yaml inherits, and the names of its releases."""

    inherits: Any
    releases: tuple[Any, ...]


def _scanned(path: Path) -> _Heading | None:
    """The heading of a file in the simple block style that all of ours have; None if it needs a YAML parser."""
    try:
        lines = input_file.text(path, reader.MAX_BYTES).splitlines()
    except (OSError, ValueError):
        return None
    tops: dict[str, str] = {}
    releases: list[str] = []
    indent = ""
    for line in lines:
        if _BLANK.match(line):
            continue
        if not line.startswith(" "):
            match = _TOP_KEY.match(line)
            if match is None or match[1] in tops:
                return None
            tops[match[1]] = re.sub(r"(^|[ \t])#.*", "", match[2] or "").strip()
        elif next(reversed(tops), "") == "releases":
            indent = indent or line[: len(line) - len(line.lstrip(" "))]
            if len(line) - len(line.lstrip(" ")) > len(indent):
                continue
            match = _RELEASE.match(line)
            if match is None or match[1] != indent:
                return None
            releases.append(match[2])
    inherits = tops.get("inherits")
    plain = inherits is None or re.fullmatch(r"[a-z][a-z0-9._-]*", inherits)
    return _Heading(inherits, tuple(releases)) if plain and not tops.get("releases") else None


def _with_absolute_keys(data: Any, directory: Path) -> Any:
    """Key files are relative to the distro.yaml that names them, also when another one inherits it."""

    def walk(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: walk(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, name) for item in value]
        is_file = name == "keys" and isinstance(value, str) and ANY_KEY not in value
        return str(directory / value) if is_file else value

    return walk(data)


def _merge(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return {**base, **{key: _merge(base.get(key), value) for key, value in own.items()}}
