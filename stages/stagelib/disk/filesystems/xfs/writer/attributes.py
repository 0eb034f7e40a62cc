"""Extended attributes of XFS, in the inode or in a block."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagelib.disk.filesystems.xfs.writer import blocks
from stagelib.disk.filesystems.xfs.writer.names import Logical, hashed
from stagelib.disk.sizes import BLOCK

LEAF_MAGIC = 0x3BEE
HEADER = 80
LOCAL, ROOT, SECURE = 0x01, 0x02, 0x04
SPACES = {"user.": 0, "trusted.": ROOT, "security.": SECURE}
ACLS = {"system.posix_acl_access": b"SGI_ACL_FILE", "system.posix_acl_default": b"SGI_ACL_DEFAULT"}
USER, GROUP = 0x02, 0x08  # tags of ACL entries with an id, acl(5)
SHORT = 255
LARGEST = BLOCK // 2 + BLOCK // 4  # larger ones are stored outside of the block


class CannotKeepError(Exception):
    """An attribute that XFS cannot store."""


@dataclass(frozen=True)
class Attribute:
    """An attribute as XFS names it; space: 0 (user's), ROOT or SECURE."""

    name: bytes
    space: int
    value: bytes


def from_kernel(found: Mapping[str, bytes]) -> list[Attribute]:
    """Attributes in XFS' form from the kernel's names, sorted by these. Raises CannotKeepError."""
    return [_attribute(name, value) for name, value in sorted(found.items())]


def _attribute(name: str, value: bytes) -> Attribute:
    if name in ACLS:
        return Attribute(ACLS[name], ROOT, _acl(value))
    for prefix, space in SPACES.items():
        if name.startswith(prefix):
            return Attribute(name[len(prefix) :].encode("utf-8", "surrogateescape"), space, value)
    raise CannotKeepError(f"XFS has no place for the attribute {name}")


def _acl(value: bytes) -> bytes:
    """An ACL in XFS' form (struct xfs_acl), from the kernel's (posix_acl_xattr_header, version 2)."""
    entries = list(struct.iter_unpack("<HHI", value[4:]))
    made = struct.pack(">I", len(entries))
    for tag, permissions, who in entries:
        made += struct.pack(">IIHH", tag, who if tag in (USER, GROUP) else 0, permissions, 0)
    return made


def short(attributes: Sequence[Attribute]) -> bytes | None:
    """The short form, for the inode; None when they are too large or too many for any inode."""
    if len(attributes) > SHORT or any(len(item.value) > SHORT for item in attributes):
        return None
    made = [
        struct.pack(">BBB", len(item.name), len(item.value), item.space) + item.name + item.value for item in attributes
    ]
    body = b"".join(made)
    return struct.pack(">HBx", 4 + len(body), len(attributes)) + body


def leaf(attributes: Sequence[Attribute]) -> Logical:
    """A block with all of them. Raises CannotKeepError when they do not fit."""
    entries, at = [], BLOCK
    body = bytearray(BLOCK)
    for item in sorted(attributes, key=lambda item: hashed(item.name)):
        size = -(-(3 + len(item.name) + len(item.value)) // 4) * 4
        if size >= LARGEST or at - size < HEADER + 8 * len(attributes):
            raise CannotKeepError(f"its extended attributes are larger than {LARGEST} bytes")
        at -= size
        text = item.name + item.value
        struct.pack_into(f">HB{len(text)}s", body, at, len(item.value), len(item.name), text)
        entries.append((hashed(item.name), at, LOCAL | item.space))
    free = HEADER + 8 * len(entries)
    struct.pack_into(">IIH", body, 0, 0, 0, LEAF_MAGIC)
    struct.pack_into(">HHHBxHH", body, 56, len(entries), BLOCK - at, at, 0, free, at - free)
    for number, entry in enumerate(entries):
        struct.pack_into(">IHBx", body, HEADER + 8 * number, *entry)
    return Logical(0, body, blocks.NAMES)
