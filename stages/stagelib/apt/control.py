"""Debian control data: stanzas, and relations between packages."""

import re
from collections.abc import Mapping
from typing import NewType

Stanza = NewType("Stanza", dict[str, str])


def parse(text: str) -> Stanza:
    """The fields of the first stanza in `text`, continuation lines kept with their newlines; names as written."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip():
            if fields:
                break
        elif line[0] in " \t":
            fields[name] += "\n" + line
        elif not line.startswith("#"):
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return Stanza(fields)


def related(stanza: Mapping[str, str], field: str) -> list[list[str]]:
    """The package names of a relation field: every clause's alternatives, without versions and architectures."""
    clauses = [clause.split("|") for clause in stanza.get(field, "").replace("\n", " ").split(",") if clause.strip()]
    return [[re.split(r"[\s(:\[]", name.strip(), maxsplit=1)[0] for name in clause] for clause in clauses]


def provided(stanza: Mapping[str, str]) -> list[str]:
    """The names under which other packages may depend on this one, its own first."""
    return [stanza["Package"], *(name for clause in related(stanza, "Provides") for name in clause)]
