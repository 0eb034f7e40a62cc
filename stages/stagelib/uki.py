"""Change the kernel's command line in an existing unified kernel image.

A root hash, for example, is known only when its file system exists, long after the image with the kernel was made.
https://uapi-group.org/specifications/specs/unified_kernel_image, https://learn.microsoft.com/windows/win32/debug/pe-format
"""

import struct
from dataclasses import dataclass

from stagelib.errors import StageError

PE_OFFSET, PE = 0x3C, b"PE\0\0"
COFF_BYTES = 24  # with the signature in front of it
SECTION = struct.Struct("<8sIIII16x")
CHECKSUM = 64  # in the optional header; loaders ignore it, and 0 is for none
CERTIFICATES = 112 + 4 * 8  # in the optional header of a 64-bit image: the directory's offset and size
KERNEL, COMMAND_LINE = b".linux", b".cmdline"


@dataclass(frozen=True)
class Section:
    """A section: the offset of its header in the file, its size in memory and its place in the file, in bytes."""

    header: int
    size: int
    address: int
    room: int
    offset: int


def sections(data: bytes) -> dict[bytes, Section]:
    """The sections of a UEFI program by name; {} when `data` is not one."""
    if data[:2] != b"MZ" or len(data) < PE_OFFSET + 4:
        return {}
    (pe,) = struct.unpack_from("<I", data, PE_OFFSET)
    if data[pe : pe + len(PE)] != PE or len(data) < pe + COFF_BYTES:
        return {}
    (count,) = struct.unpack_from("<H", data, pe + 6)
    found = {}
    for number in range(count):
        header = _optional(data) + _optional_bytes(data) + number * SECTION.size
        if header + SECTION.size > len(data):
            return {}
        name, size, address, room, offset = SECTION.unpack_from(data, header)
        if offset + room > len(data):
            return {}
        found[name.rstrip(b"\0")] = Section(header, size, address, room, offset)
    return found


def is_unified(data: bytes) -> bool:
    """Whether `data` is a unified kernel image with a command line."""
    return {KERNEL, COMMAND_LINE} <= sections(data).keys() and _optional_bytes(data) >= CERTIFICATES + 8


def command_line(data: bytes) -> bytes:
    """The command line in a unified kernel image."""
    section = sections(data)[COMMAND_LINE]
    return data[section.offset : section.offset + min(section.size, section.room)]


def with_command_line(data: bytes, text: bytes) -> bytes:
    """The image with another command line in the same place.

    Raises StageError when it is signed, or has no room for it (up to the next multiple of 512 bytes).
    """
    section = sections(data)[COMMAND_LINE]
    if struct.unpack_from("<I", data, _optional(data) + CERTIFICATES + 4)[0]:
        raise StageError("the command line of a signed unified kernel image cannot be changed", "sign it afterwards")
    if len(text) > section.room:
        raise StageError(
            f"the unified kernel image has room for {section.room} bytes of options for the kernel, not {len(text)}",
            "make kernel.append shorter",
        )
    made = bytearray(data)
    made[section.offset : section.offset + section.room] = text.ljust(section.room, b"\0")
    struct.pack_into("<I", made, section.header + 8, len(text))
    struct.pack_into("<I", made, _optional(data) + CHECKSUM, 0)
    return bytes(made)


def _optional(data: bytes) -> int:
    (pe,) = struct.unpack_from("<I", data, PE_OFFSET)
    return int(pe) + COFF_BYTES


def _optional_bytes(data: bytes) -> int:
    (size,) = struct.unpack_from("<H", data, _optional(data) - 4)
    return int(size)
