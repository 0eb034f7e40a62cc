"""From the keys `disk` and `formats` of a blueprint's document to a Disk and Outputs.

The document need not be valid: what does not have the form that the schema wants is left out, as the schema reports it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.blueprint.values import size
from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.disk import types
from osbuild_compose.disk.model import (
    SECTOR,
    Bootloader,
    Disk,
    Firmware,
    LogicalVolume,
    Luks,
    Partition,
    Subvolume,
    Table,
)
from osbuild_compose.disk.types import FileSystemType
from osbuild_compose.document.node import Trail
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import InvalidValueError, Problem

SECTORS = (SECTOR, 4096)
BLOCK = 4096  # a file system has a whole number of them
_FORMS = {
    Table.GPT: (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a GUID", "GPT"),
    Table.DOS: (r"[0-9a-fA-F]{1,2}", "two hexadecimal digits, such as 83", "DOS partition table"),
}
_Kind = TypeVar("_Kind")
_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass
class Parsed:
    """What was read, and the problems met on the way. all_sizes: whether every size of the disk could be read."""

    disk: Disk = field(default_factory=Disk)
    outputs: tuple[Output, ...] = (Output(Format.QCOW2),)
    problems: list[Problem] = field(default_factory=list)
    all_sizes: bool = True


def parse(data: Any, files: LocalFiles) -> Parsed:
    """The disk and the outputs of the blueprint `data`. Reads the passphrases of encrypted partitions."""
    parsed = Parsed()
    top = _Section(data if isinstance(data, dict) else {}, (), parsed)
    if isinstance(top.data.get("disk"), dict):
        parsed.disk = _disk(top.section("disk"), files)
    if isinstance(top.data.get("formats"), list):
        parsed.outputs = tuple(_outputs(top.data["formats"], parsed))
    return parsed


@dataclass
class _Section:
    """A mapping of the document, read key by key."""

    data: Mapping[str, Any]
    trail: Trail
    parsed: Parsed
    sector: int = 1  # bytes that sizes are multiples of

    def problem(self, key: str, brief: str, hint: str = "") -> None:
        self.parsed.problems.append(Problem((*self.trail, *([key] if key else [])), brief, hint))

    def get(self, key: str, kind: type[_Kind]) -> _Kind | None:
        value = self.data.get(key)
        is_kind = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        return value if is_kind else None

    def choice(self, key: str, choices: type[_Choice]) -> _Choice | None:
        value = self.data.get(key)
        return choices(value) if value in list(choices) else None

    def section(self, key: str) -> "_Section":
        return _Section(self.data[key], (*self.trail, key), self.parsed, self.sector)

    def sections(self, key: str) -> Iterator["_Section"]:
        """The items of a list of mappings."""
        items = self.data.get(key)
        for index, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, dict):
                yield _Section(item, (*self.trail, key, index), self.parsed, self.sector)

    def size(self, key: str, parse: Any = size.to_bytes, unit: str = "a sector's ") -> int | None:
        """The size in bytes, unless it is no multiple of a sector."""
        value = self.data.get(key)
        if key not in self.data:
            return None
        if isinstance(value, int | str) and not isinstance(value, bool):
            try:
                found: int = parse(value)
            except InvalidValueError as error:
                self.problem(key, f"`{key}`: {error}")
            else:
                if found % self.sector == 0:
                    return found
                hint = "" if unit else f"the next one is {-(-found // self.sector) * self.sector}"
                self.problem(key, f"`{key}`: {found} bytes is not a multiple of {unit}{self.sector}", hint)
        self.parsed.all_sizes &= self.trail[0] != "disk"
        return None


def _disk(section: _Section, files: LocalFiles) -> Disk:
    sector = section.get("sector_size", int)
    section.sector = sector if sector in SECTORS else SECTOR
    firmware = section.get("firmware", list) or []
    table = section.choice("table", Table)
    return Disk(
        **_given(
            size=section.size("size", size.parse),
            free=section.size("free"),
            table=table,
            sector_size=section.sector,
            uuid=section.get("uuid", str),
            bootloader=section.choice("bootloader", Bootloader),
            uki=section.get("uki", bool),
        ),
        firmware=tuple(Firmware(name) for name in firmware if name in list(Firmware)),
        partitions=tuple(_partition(item, table or Table.GPT, files) for item in section.sections("partitions")),
        written=frozenset(section.data),
    )


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _partition(section: _Section, table: Table, files: LocalFiles) -> Partition:
    group = section.get("volume_group", str)
    return Partition(
        **_volume(section),
        type=_type(section, table),
        start=section.size("start"),
        partition_uuid=section.get("partition_uuid", str),
        bootable=section.get("bootable", bool),
        subvolumes=tuple(
            Subvolume(item.get("name", str) or "", item.get("mount", str) or "")
            for item in section.sections("subvolumes")
        ),
        verity=section.get("verity", bool) or False,
        volume_group=group,
        logical_volumes=tuple(
            LogicalVolume(**_volume(item), group=group or "") for item in section.sections("logical_volumes")
        ),
        luks=_luks(section.section("luks"), files) if isinstance(section.data.get("luks"), dict) else None,
    )


def _volume(section: _Section) -> dict[str, Any]:
    """What partitions and logical volumes have in common."""
    texts = ("mount", "name", "label", "uuid", "options", "compression")
    return {
        **{key: section.get(key, str) for key in texts},
        "file_system": section.choice("file_system", FileSystemType),
        "size": section.size("size"),
        "minimum": section.size("minimum"),
        "grow": section.get("grow", bool),
        "trail": section.trail,
        "written": frozenset(section.data),
    }


def _type(section: _Section, table: Table) -> str | None:
    """The partition's type by its name, or as its table numbers it."""
    text = section.get("type", str)
    form, described, place = _FORMS[table]
    if text is None or text in types.PARTITION_TYPES or re.fullmatch(form, text):
        return types.type_name(text) if text else None
    names = [name for name in types.PARTITION_TYPES if not (table is Table.DOS and name == "bios-boot")]
    hint = did_you_mean(text, names) or f"it is {described}, or one of {', '.join(names)}"
    section.problem("type", f"`{text}` is not the type of a partition in a {place}", hint)
    return None


def _luks(section: _Section, files: LocalFiles) -> Luks:
    keys = [key for key in ("passphrase_file", "passphrase_variable") if isinstance(section.data.get(key), str)]
    if len(section.data) != 1 or len(keys) != 1:
        hint = "write passphrase_file or passphrase_variable, one of them"
        section.problem("", "`luks` says where the passphrase is", hint)
        return Luks("")
    try:
        return Luks(files.passphrase(section.data, os.environ))
    except InvalidValueError as error:
        section.parsed.problems.append(error.problem.within(*section.trail, keys[0]))
        return Luks("")


def _outputs(items: list[Any], parsed: Parsed) -> Iterator[Output]:
    names = [item.get("format") if isinstance(item, dict) else item for item in items]
    for index, (item, name) in enumerate(zip(items, names, strict=True)):
        if name not in list(Format):
            continue
        if name in names[:index] and item not in items[:index]:  # the schema reports equal items
            hint = "there is one file for each format"
            parsed.problems.append(Problem(("formats", index), f"`formats` has {name} twice", hint))
        section = _Section(item if isinstance(item, dict) else {}, ("formats", index), parsed, BLOCK)
        yield Output(Format(name), dict(_options(Format(name), section)), section.trail)


def _options(kind: Format, section: _Section) -> Iterator[tuple[str, Any]]:
    """The options of an output that its format has, by the assembler's names; sizes are in bytes, memory is in MiB."""
    known = kind.traits.options
    for key, value in sorted(section.data.items()):
        if key == "format":
            continue
        if key not in known:
            others = ", ".join(str(other) for other in Format if key in other.traits.options)
            if others:  # of a key that none has the schema says so
                section.problem(key, f"{kind} has no `{key}`", f"only {others} {'have' if ',' in others else 'has'} it")
        elif known[key] and isinstance(value, str) and value not in known[key]:
            section.problem(key, f"{kind} cannot have `{key}` {value}; it has: {', '.join(known[key])}")
        elif key in ("size", "free", "memory"):
            section.sector = MIB if key == "memory" else BLOCK
            if (found := section.size(key, unit="")) is not None:
                yield key, found // MIB if key == "memory" else found
        else:
            yield key, value
