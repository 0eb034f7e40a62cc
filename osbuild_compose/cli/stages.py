"""`compose stages` and `compose schema`: what the programs' meta.json and the published schemas say."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose.compile import module_text
from osbuild_compose.compile.module_catalog import ModuleKind, Program, Programs, nearest_name
from osbuild_compose.document.schema import schema_files as schemas
from osbuild_compose.errors import InputError
from osbuild_compose.report.terminal import write_json


def list_all(libdirs: Sequence[Path], as_json: bool) -> None:
    """Print the names of all stages and assemblers with a line about each."""
    programs = Programs(libdirs)
    found = [programs.find(kind, name) for kind in ModuleKind for name in programs.names(kind)]
    if as_json:
        rows = [{"kind": str(item.kind), "name": item.name, "summary": item.meta.get("summary", "")} for item in found]
        print(json.dumps(rows, indent=2, sort_keys=True))
        return
    width = max(len(item.name) for item in found)
    for kind in ModuleKind:
        print(f"{kind.directory}:")
        for item in found:
            if item.kind is kind:
                print(f"  {item.name:{width}}  {item.meta.get('summary', '')}".rstrip())


def show(name: str, libdirs: Sequence[Path], as_json: bool) -> None:
    """Print all about a program as a page, or its meta.json. Raises InputError for one that is not there."""
    found = _find(name, Programs(libdirs))
    if as_json:
        print(json.dumps(found.meta, indent=2))
    else:
        print("\n".join(module_text.section(found)).rstrip())


def schema(what: str, name: str | None, libdirs: Sequence[Path]) -> None:
    """Print the JSON Schema of `what`. Raises InputError for a program that is not there."""
    if what in ("stage", "assembler"):
        if name is None:
            raise InputError(f"compose schema {what}: which one?", hint="`compose stages` lists them")
        found = _find(name, Programs(libdirs), (ModuleKind(what),))
        document = {"$schema": "http://json-schema.org/draft-07/schema#", "title": found.name, **found.schema}
    elif name is not None:
        raise InputError(f"compose schema {what} takes no name", hint=f"for a stage: compose schema stage {name}")
    else:
        document = schemas.published(what)
    write_json(json.dumps(document, indent=2, ensure_ascii=False) + "\n", sys.stdout)


def _find(name: str, programs: Programs, kinds: Sequence[ModuleKind] = tuple(ModuleKind)) -> Program:
    """The stage or assembler of that name, or with that last part of its name."""
    full = [(kind, known) for kind in kinds for known in programs.names(kind)]
    for kind, known in full:
        if known == name:
            return programs.find(kind, known)
    ends = [(kind, known) for kind, known in full if known.rpartition(".")[2] == name]
    if len(ends) == 1:
        return programs.find(*ends[0])
    what = " or ".join(kinds)
    raise InputError(f"there is no {what} {name}", hint=nearest_name(name, [known for _, known in full]))
