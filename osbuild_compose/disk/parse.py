"""Parses the keys `disk` and `formats` of a blueprint into a Disk and Outputs.

The document need not be valid: what does not have the form that the schema wants is left out, as the schema reports it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from osbuild_compose.blueprint.formats import Contents, Format, Output
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.blueprint.values import size
from osbuild_compose.disk import types
from osbuild_compose.disk.model import (
    FIRST_BOOT,
    SECTORS,
    Bootloader,
    Disk,
    Firmware,
    LogicalVolume,
    Luks,
    Partition,
    Subvolume,
    SwapFile,
    Table,
)
from osbuild_compose.document.node import Trail
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import InvalidValueError, Problem

BLOCK = 4096  # a file system has a whole number of them
_SIZES = ("size", "free", "minimum", "start")
_FLAGS = ("grow", "bootable", "verity", "uki")
_CHOICES = {"file_system": types.FileSystemType, "table": Table, "bootloader": Bootloader}
_TEXTS = ("mount", "path", "name", "label", "uuid", "partition_uuid", "options", "compression", "volume_group", "type")
_TYPE_FORMS = {
    Table.GPT: (r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "a GUID", "GPT"),
    Table.DOS: (r"[0-9a-fA-F]{1,2}", "two hexadecimal digits, such as 83", "DOS partition table"),
}


@dataclass
class Parsed:
    """The parsed disk and outputs, and their problems. all_sizes: whether every size of the disk is valid."""

    disk: Disk = field(default_factory=Disk)
    outputs: tuple[Output, ...] = (Output(Format.QCOW2),)
    problems: list[Problem] = field(default_factory=list)
    all_sizes: bool = True


def parse(data: Mapping[str, Any], files: LocalFiles) -> Parsed:
    """The disk and the outputs of the blueprint `data`. Reads the passphrases of encrypted partitions."""
    parsed = Parsed()
    if isinstance(data.get("disk"), dict):
        parsed.disk = _disk(_Section(data["disk"], ("disk",), parsed), files)
    if isinstance(data.get("formats"), list):
        parsed.outputs = tuple(_outputs(data["formats"], parsed))
    return parsed


@dataclass
class _Section:
    """A mapping of the document; sizes in it become multiples of `sector` bytes."""

    data: Mapping[str, Any]
    trail: Trail
    parsed: Parsed
    sector: int = SECTORS[0]

    def problem(self, key: str, brief: str, hint: str = "") -> None:
        self.parsed.problems.append(Problem((*self.trail, key), brief, hint))

    def sections(self, key: str) -> Iterator["_Section"]:
        """The mappings in a list."""
        items = self.data.get(key)
        for index, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, dict):
                yield _Section(item, (*self.trail, key, index), self.parsed, self.sector)

    def scalars(self, kind: type) -> dict[str, Any]:
        """The values of those fields of the dataclass `kind` that are neither mappings nor lists."""
        known = self.data.keys() & {one.name for one in fields(kind)}
        found = {key: self._scalar(key, self.data[key]) for key in known}
        if self.data.get("grow") == FIRST_BOOT:
            found |= {"grow": "size" not in self.data, "grows_at_boot": True}
        return {key: value for key, value in found.items() if value is not None}

    def _scalar(self, key: str, value: Any) -> Any:
        if key in _SIZES:
            return self.size(key)
        if key in _CHOICES:
            return _CHOICES[key](value) if value in list(_CHOICES[key]) else None
        form = bool if key in _FLAGS else str if key in _TEXTS else ()
        return value if isinstance(value, form) else None

    def size(self, key: str) -> int | None:
        """The size in bytes, rounded up to a multiple of the sector; a place on the disk must be one already."""
        value, is_of_disk = self.data[key], self.trail == ("disk",) and key == "size"
        if isinstance(value, int | str) and not isinstance(value, bool):
            try:
                found = size.parse(value) if is_of_disk else size.to_bytes(value)
            except InvalidValueError as error:
                self.problem(key, f"`{key}`: {error}")
            else:
                rounded = size.rounded_up(found, self.sector)
                if key != "start" or rounded == found:
                    return rounded
                hint = f"the next one is {rounded}"
                self.problem(key, f"`{key}`: {found} bytes is not a multiple of a sector's {self.sector}", hint)
        self.parsed.all_sizes &= self.trail[0] != "disk"
        return None


def _disk(section: _Section, files: LocalFiles) -> Disk:
    if section.data.get("sector_size") in SECTORS:
        section.sector = int(section.data["sector_size"])  # 4096.0 is the same number to the schema
    firmware = section.data.get("firmware")
    found = section.scalars(Disk)
    return Disk(
        **found,
        sector_size=section.sector,
        firmware=tuple(Firmware(one) for one in firmware if one in list(Firmware))
        if isinstance(firmware, list)
        else (),
        partitions=tuple(
            _partition(item, found.get("table", Table.GPT), files) for item in section.sections("partitions")
        ),
        swap_files=tuple(SwapFile(**item.scalars(SwapFile)) for item in _blocks(section.sections("swap_files"))),
        written=frozenset(section.data),
    )


def _blocks(sections: Iterator[_Section]) -> Iterator[_Section]:
    """The sections, with sizes in whole blocks of a file system."""
    return (replace(section, sector=BLOCK) for section in sections)


def _partition(section: _Section, table: Table, files: LocalFiles) -> Partition:
    found = section.scalars(Partition)
    found["type"] = _type(section, table, found.get("type"))
    subvolumes = (item.scalars(Subvolume) for item in section.sections("subvolumes"))
    return Partition(
        **found,
        subvolumes=tuple(Subvolume(item.get("name", ""), item.get("mount", "")) for item in subvolumes),
        logical_volumes=tuple(
            LogicalVolume(
                **item.scalars(LogicalVolume),
                group=found.get("volume_group", ""),
                trail=item.trail,
                written=frozenset(item.data),
            )
            for item in section.sections("logical_volumes")
        ),
        luks=_luks(section, files) if isinstance(section.data.get("luks"), dict) else None,
        trail=section.trail,
        written=frozenset(section.data),
    )


def _type(section: _Section, table: Table, text: str | None) -> str | None:
    """The partition's type: a name, a GUID, or two hexadecimal digits of a DOS table."""
    form, described, place = _TYPE_FORMS[table]
    if text is None or text in types.PARTITION_TYPES or re.fullmatch(form, text):
        return types.type_name(text) if text else None
    names = [name for name in types.PARTITION_TYPES if not (table is Table.DOS and name == "bios-boot")]
    hint = did_you_mean(text, names) or f"it is {described}, or one of {', '.join(names)}"
    section.problem("type", f"`{text}` is not the type of a partition in a {place}", hint)
    return None


def _luks(section: _Section, files: LocalFiles) -> Luks:
    source = section.data["luks"]
    keys = [key for key in ("passphrase_file", "passphrase_variable") if isinstance(source.get(key), str)]
    if len(source) != 1 or len(keys) != 1:
        hint = "write passphrase_file or passphrase_variable, one of them"
        section.problem("luks", "`luks` must say where the passphrase is", hint)
        return Luks("")
    try:
        return Luks(files.passphrase(source, os.environ))
    except InvalidValueError as error:
        section.parsed.problems.append(error.problem.within(*section.trail, "luks", keys[0]))
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
        yield Output(
            Format(name), dict(_options(Format(name), section)), _contents(Format(name), section), section.trail
        )


def _contents(kind: Format, section: _Section) -> Contents | None:
    """What the blueprint says that the output has the files of."""
    value = section.data.get("contents")
    if value is not None and not kind.has_choice:
        section.problem("contents", f"{kind} is always of a whole machine", "leave it out")
    return Contents(value) if value in list(Contents) and kind.has_choice else None


def _options(kind: Format, section: _Section) -> Iterator[tuple[str, Any]]:
    """The options of an output that its format has, by the assembler's names; sizes are in bytes, memory is in MiB."""
    known = kind.traits.options
    for key, value in sorted(section.data.items()):
        if key in ("format", "contents"):
            continue
        if key not in known:
            others = [str(other) for other in Format if key in other.traits.options]
            if others:  # the schema reports a key that no format has
                has = "have" if others[1:] else "has"
                section.problem(key, f"{kind} has no `{key}`", f"only {', '.join(others)} {has} it")
        elif known[key] and isinstance(value, str) and value not in known[key]:
            section.problem(key, f"{kind} cannot have `{key}` {value}; it has: {', '.join(known[key])}")
        elif key in (*_SIZES, "memory"):
            section.sector = size.MIB if key == "memory" else BLOCK
            if (found := section.size(key)) is not None:
                yield key, found // size.MIB if key == "memory" else found
        else:
            yield key, value
