"""UEFI programs: the PE format's header and sections, as far as they tell what a program is."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

_MAX_SECTIONS = 96  # what the format allows Windows to load
_MAX_TEXT = 64 * 1024  # bytes of a section that is text
_TEXTS = (".sbat", ".sdmagic", ".cmdline", ".osrel", ".uname")
_CERTIFICATES = 4  # the number of their row in the table of data directories


@dataclass(frozen=True)
class EfiProgram:
    """A UEFI program. kind is "shim", "grub", "systemd-boot", "uki" or "other"; version is as it says itself.

    texts are those of its sections that are text, by their names.
    """

    kind: str
    version: str | None
    signed: bool
    texts: Mapping[str, str]


def program(content: bytes) -> EfiProgram | None:
    """What a program is; None for what is none."""
    try:
        return _program(content)
    except struct.error:  # cut off, or offsets that lead out
        return None


def _program(content: bytes) -> EfiProgram | None:
    if not content.startswith(b"MZ"):
        return None
    header = struct.unpack_from("<I", content, 60)[0]
    if content[header : header + 4] != b"PE\0\0":
        return None
    count, optional = struct.unpack_from("<2xH12xH", content, header + 4)
    magic = struct.unpack_from("<H", content, header + 24)[0]
    directories = header + 24 + (112 if magic == 0x20B else 96)
    size = struct.unpack_from("<I", content, directories + 8 * _CERTIFICATES + 4)[0]
    sections = _sections(content, header + 24 + optional, min(count, _MAX_SECTIONS))
    texts = {name: _text(sections[name]) for name in _TEXTS if name in sections}
    kind, version = _kind(content, sections, texts)
    return EfiProgram(kind, version, size > 0, texts)


def _sections(content: bytes, at: int, count: int) -> dict[str, bytes]:
    """The beginnings of sections by their names."""
    found = {}
    for number in range(count):
        name, length, _, stored, offset = struct.unpack_from("<8sIIII", content, at + 40 * number)
        end = offset + min(length or stored, stored, _MAX_TEXT)
        found[name.rstrip(b"\0").decode(errors="replace")] = content[offset:end]
    return found


def _text(section: bytes) -> str:
    return section.split(b"\0")[0].decode(errors="replace").strip("\ufeff").strip()


def _kind(content: bytes, sections: Mapping[str, bytes], texts: Mapping[str, str]) -> tuple[str, str | None]:
    if ".linux" in sections:
        return "uki", texts.get(".uname")
    told = re.search(r"LoaderInfo: systemd-boot (\S+)", texts.get(".sdmagic", ""))
    if told:
        return "systemd-boot", told[1]
    # SBAT: component, generation, vendor, package, version, address; the first row is of SBAT itself.
    rows = [row.split(",") for row in texts.get(".sbat", "").splitlines()[1:]]
    versions = {row[0]: row[4] for row in rows if len(row) >= 5}
    for kind in ("shim", "grub"):
        if kind in versions:
            packaged = [version for name, version in versions.items() if name.startswith(f"{kind}.")]
            return kind, (packaged or [versions[kind]])[0]
    return ("grub", None) if b"GRUB" in content and b"grub_" in content else ("other", None)
