"""A package to be installed, as its control archive describes it (deb-control(5))."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NewType

from stagelib.apt.compression import DebError
from stagelib.apt.deb import ControlFile
from stagelib.apt.resolve import Archive

Stanza = NewType("Stanza", dict[str, str])


def parse_control(text: str) -> Stanza:
    """The fields of the first stanza in `text`, continuation lines kept with their newlines; names as written.

    Raises DebError when it begins with a continuation line.
    """
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip():
            if fields:
                break
        elif line[0] in " \t":
            if name not in fields:
                raise DebError("its control file begins in the middle of a field")
            fields[name] += "\n" + line
        elif not line.startswith("#"):
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return Stanza(fields)


def related_names(stanza: Mapping[str, str], field: str) -> list[list[str]]:
    """The package names of a relation field: every clause's alternatives, without versions and architectures."""
    clauses = [clause.split("|") for clause in stanza.get(field, "").replace("\n", " ").split(",") if clause.strip()]
    return [[re.split(r"[\s(:\[]", name.strip(), maxsplit=1)[0] for name in clause] for clause in clauses]


def provided_names(stanza: Mapping[str, str]) -> list[str]:
    """The names under which other packages may depend on this one, its own first."""
    return [stanza["Package"], *(name for clause in related_names(stanza, "Provides") for name in clause)]


# Lines that may stand anywhere.
IDLE_LINE = re.compile(
    r"""
      \s* (?: \#.* )?                                                   # empty, comment, #!/bin/sh
    | set \s+ -\w+
    | exit \s+ 0
    | dpkg-maintscript-helper \s+ (?: rm_conffile | mv_conffile | symlink_to_dir | dir_to_symlink )
      \s+ [^;&|`$<>]* -- \s+ "\$@"
    """,
    re.VERBOSE,
)

IDLE_BLOCK = re.compile(
    r"""^if \[ "\$1" = "install" \] && \[ -n "\$2" \] && \[ -e "[^"`$]*" \] ?; then\n[^\n;]*\nfi$""",
    re.MULTILINE,
)


def is_idle_preinst(script: str) -> bool:
    """Whether running the preinst with the single argument `install` would change nothing."""
    if not re.match(r"#! ?/bin/(sh|bash|dash)\b", script):
        return False
    return all(IDLE_LINE.fullmatch(line) for line in IDLE_BLOCK.sub("", script).splitlines())


NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # deb-src-control(5), Package
ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]*")
VERSION = re.compile(r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~:-]*")
FIELD = re.compile(r"([!-,.-9;-~][!-9;-~]*):[^\0]*|[ \t]+[^\s\0][^\0]*")
RELATED = re.compile(rf"{NAME.pattern}(?::[a-z0-9-]+)?\s*(?:\(\s*(?:[<>=]|<<|<=|>=|>>)\s*{VERSION.pattern}\s*\))?")
RELATIONS = (
    "Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Replaces", "Provides",
)  # fmt: skip
FLAGS = {"Multi-Arch": ("no", "same", "foreign", "allowed"), "Essential": ("yes", "no"), "Protected": ("yes", "no")}
TRIGGER = re.compile(rf"(?:interest|activate)(?:-await|-noawait)?\s+(?:/[!-~]+|{NAME.pattern})")


def checked(archive: Archive, files: Mapping[str, ControlFile]) -> "Package":
    """The package in the archive. Raises DebError unless it is the one that the repository's index says.

    Its name and architecture become parts of paths.
    """
    package = Package(archive, files)
    stanza = package.stanza
    if not NAME.fullmatch(stanza.get("Package", "")):
        raise DebError("its control file has no Package, or an impossible one")
    if package.name != archive.package:
        raise DebError(f"it holds the package {package.name}")
    if not ARCHITECTURE.fullmatch(stanza.get("Architecture", "")):
        raise DebError("its control file has no Architecture, or an impossible one")
    return package


def is_plain_control(text: str) -> bool:
    """Whether dpkg certainly reads the control file: then it can be copied into dpkg's database."""
    lines = text.strip("\n").split("\n")
    matches = [FIELD.fullmatch(line) for line in lines]
    names = [match[1].lower() for match in matches if match and match[1]]
    if not all(matches) or len(set(names)) != len(names):
        return False
    stanza = parse_control(text)
    relations = (one.strip() for name in RELATIONS for clause in stanza.get(name, "").split(",")
                 for one in clause.split("|") if stanza.get(name))  # fmt: skip
    return (
        VERSION.fullmatch(stanza.get("Version", "")) is not None
        and all(RELATED.fullmatch(one.replace("\n", " ")) for one in relations)
        and all(stanza.get(name, known[0]) in known for name, known in FLAGS.items())
    )


@dataclass(frozen=True)
class Package:
    """An archive and its control files; equal when the archives are."""

    archive: Archive
    files: Mapping[str, ControlFile]

    @cached_property
    def stanza(self) -> Stanza:
        """The fields of its control file."""
        return parse_control(self.text("control"))

    @property
    def name(self) -> str:
        """The package's name."""
        return self.stanza["Package"]

    @property
    def info_name(self) -> str:
        """The prefix of its files in dpkg's info directory."""
        if self.stanza.get("Multi-Arch") == "same":
            return f"{self.name}:{self.stanza['Architecture']}"
        return self.name

    @property
    def essential(self) -> bool:
        """Whether the package is Essential."""
        return self.stanza.get("Essential") == "yes"

    @property
    def installed_size(self) -> int:
        """The size of its files in bytes, as it says itself; 0 when it does not."""
        digits = self.stanza.get("Installed-Size", "")
        return int(digits) * 1024 if digits.isdecimal() and len(digits) < 12 else 0

    @property
    def conffiles(self) -> list[str]:
        """Paths of its configuration files, in the order of its list."""
        return [line.strip() for line in self.text("conffiles").splitlines() if line.strip()]

    @property
    def reason_for_dpkg(self) -> str:
        """Why only dpkg can unpack it; "" when its files can be unpacked directly."""
        script = self.files.get("preinst")
        if script and not is_idle_preinst(script.data.decode("utf-8", "replace")):
            return "its preinst does something"
        if "md5sums" not in self.files:
            return "it has no md5sums"  # which dpkg then creates while unpacking
        if any(not path.startswith("/") for path in self.conffiles):
            return "it has conffiles with flags"
        if not is_plain_control(self.text("control")):
            return "its control file is unusual"
        lines = (line.partition("#")[0].strip() for line in self.text("triggers").splitlines())
        if not all(TRIGGER.fullmatch(line) for line in lines if line):
            return "its triggers are unusual"
        return ""

    def text(self, name: str) -> str:
        """A control file as text; "" when the package does not have it."""
        return self.files[name].data.decode("utf-8", "surrogateescape") if name in self.files else ""

    def __hash__(self) -> int:
        return hash(self.archive)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Package) and self.archive == other.archive
