"""The catalog of stages and assemblers with their meta.json: the built-in ones and the user's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from osbuild_compose.data import PACKAGE
from osbuild_compose.document.suggest import nearest
from osbuild_compose.errors import InputError, TemplateError


class ModuleKind(StrEnum):
    """The kinds of programs in a pipeline."""

    STAGE = "stage"
    ASSEMBLER = "assembler"

    @property
    def directory(self) -> str:
        """Where in a libdir its programs are."""
        return f"{self.value}s"


@dataclass(frozen=True)
class Program:
    """A stage or an assembler. `meta` is its meta.json, `schema` the schema of its options in it."""

    kind: ModuleKind
    name: str
    path: Path
    meta: Mapping[str, Any]

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its options; the older or the newer of the forms that osbuild has."""
        schema: Mapping[str, Any] = self.meta.get("schema") or self.meta.get("schema_2") or {}
        return schema


def built_in() -> Path:
    """The libdir that comes with the program: the checkout, or the runner's data when installed from a wheel."""
    installed = PACKAGE.parent / "runner" / "data"
    return installed if (installed / "stages").is_dir() else PACKAGE.parent


class Programs:
    """All stages and assemblers; those of the user's libdirs come before the built-in ones."""

    def __init__(self, libdirs: Sequence[Path] = ()) -> None:
        self._libdirs = (*libdirs, built_in())
        self._found: dict[tuple[ModuleKind, str], Program] = {}

    @cached_property
    def _places(self) -> dict[tuple[ModuleKind, str], Path]:
        found: dict[tuple[ModuleKind, str], Path] = {}
        for libdir in self._libdirs:
            for kind in ModuleKind:
                for path in sorted((libdir / kind.directory).glob("*.meta.json")):
                    found.setdefault((kind, path.name.removesuffix(".meta.json")), path)
        return found

    @cached_property
    def _names(self) -> dict[ModuleKind, list[str]]:
        return {kind: sorted(name for known, name in self._places if known is kind) for kind in ModuleKind}

    def names(self, kind: ModuleKind) -> list[str]:
        """The names of all programs of one kind, sorted."""
        return list(self._names[kind])

    def find(self, kind: ModuleKind, name: str) -> Program:
        """The program of that name. Raises InputError for an unknown one, TemplateError for a bad meta.json."""
        if (kind, name) not in self._found:
            self._found[kind, name] = self._read(kind, name)
        return self._found[kind, name]

    def _read(self, kind: ModuleKind, name: str) -> Program:
        path = self._places.get((kind, name))
        if path is None:
            raise InputError(f"there is no {kind} {name}", hint=nearest_name(name, self.names(kind)))
        try:
            meta = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise TemplateError(f"cannot read {path}: {error}") from None
        if not isinstance(meta, dict):
            raise TemplateError(f"{path} is not a JSON object")
        return Program(kind, name, path, meta)


def nearest_name(name: str, known: Sequence[str]) -> str:
    """A hint to the program that was meant, also when only the part after the last dot was given."""
    ends = {other.rpartition(".")[2]: other for other in known}
    end = name.rpartition(".")[2]
    meant = ends.get(end) or nearest(name, known) or ends.get(nearest(end, ends) or "")
    return f"did you mean `{meant}`?" if meant else "`compose stages` lists them"
