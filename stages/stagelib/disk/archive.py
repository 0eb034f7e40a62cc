"""A tree as a tar archive with its SELinux labels and device nodes, the same bytes every time.

GNU tar reads labels only from files and writes extended attributes in the order of the tree's file system, so its
output is rewritten: labels are added, attributes sorted by name, and placeholders become device nodes. Layout:
POSIX.1-2017, pax, "pax Interchange Format"; the names of the records are those of star and GNU tar.
"""

import os
import shutil
import struct
import zlib
from collections.abc import Mapping
from typing import BinaryIO

from stagelib import devices, selinux
from stagelib.devices import Device
from stagelib.disk import compress, labels, tools
from stagelib.errors import StageError

LZOP_MAGIC = b"\x89LZO\0\r\n\x1a\n"


def make(archive: str, tree: str, *, compression: str | None) -> None:
    """Pack `tree` into the new file `archive`, compressed by a key of compress.PROGRAMS, or not at all."""
    make_all({compression: archive}, tree)


def make_all(
    archives: Mapping[str | None, str],
    tree: str,
    *others: compress.Take,
    wanted: Mapping[str, str] | None = None,
    with_devices: bool = True,
) -> None:
    """Pack `tree` once into several new files, by compression as for make(), and pass the archive to `others`, too.

    Entries are sorted and named ./...; owners are numbers; extended attributes and ACLs are in; SELinux labels are
    those of labels.of_tree(), or `wanted`. Times of modification are the tree's; other times are left out.
    with_devices: whether placeholders become device nodes, or empty files to be unpacked where none can be made.
    """
    argv = [
        "tar",
        "--create",
        "--file=-",
        f"--directory={tree}",
        "--format=posix",
        # The default name of an extended header has tar's process id in it.
        "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
        "--sort=name",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
        "--xattrs-exclude=system.*",  # ACLs, which --acls writes in a form that other programs read, too
        f"--xattrs-exclude={labels.XATTR}",  # of the machine where the tree was made
        "--acls",
        "--no-wildcards",
        "--anchored",
        f"--exclude=./{selinux.RECORD}",
        ".",
    ]
    found = labels.of_tree(tree) if wanted is None else wanted
    with compress.writing(archives, *others) as file:
        tools.pipe(argv, lambda source: copy_corrected(source, file, found, with_devices=with_devices))
    if "lzop" in archives:
        clear_lzop_time(archives["lzop"])


def clear_lzop_time(archive: str) -> None:
    """Set the time in an lzop file's header to 0: --no-name keeps it. Layout: lzop's lzop.c, write_header()."""
    with open(archive, "r+b") as file:
        header = bytearray(file.read(64))
        size = 34 + header[33]  # magic 9, versions 6, method 1, level 1, flags 4, mode 4, time 8, name 1 + n; at 33: n
        flags = struct.unpack_from(">I", header, 17)[0]
        crc_instead_of_adler = 0x1000
        if header[:9] != LZOP_MAGIC or flags & crc_instead_of_adler:
            raise StageError("lzop made a file with an unknown layout")
        header[25:33] = bytes(8)
        struct.pack_into(">I", header, size, zlib.adler32(bytes(header[9:size])))
        file.seek(0)
        file.write(header[: size + 4])


BLOCK = 512
RECORD = 20 * BLOCK  # an archive's size is a multiple of it
PAX, LINK = b"x", b"1"
XATTR = b"SCHILY.xattr."
PLACEHOLDER = XATTR + devices.XATTR.encode()
ATTRIBUTE = XATTR + labels.XATTR.encode()  # what tar --xattrs and most other programs read
SELINUX = b"RHT.security.selinux"  # what tar --selinux reads
REGULAR = b"0"
TYPES = {"c": b"3", "b": b"4"}
NAME, MODE, SIZE, CHECKSUM, TYPE, LINK_NAME, OWNER_NAMES, MAJOR, MINOR = (
    slice(0, 100),
    slice(100, 108),
    slice(124, 136),
    slice(148, 156),
    slice(156, 157),
    slice(157, 257),
    slice(265, 329),
    slice(329, 337),
    slice(337, 345),
)

Records = dict[bytes, bytes]


def copy_corrected(source: BinaryIO, target: BinaryIO, wanted: Mapping[str, str], *, with_devices: bool = True) -> None:
    """Copy an archive whose names begin with "./" from `source` to the file `target`, adding labels and device nodes.

    wanted: labels by path, as labels.of_tree() returns them. with_devices: whether placeholders become device nodes.
    Raises StageError when the archive ends too early.
    """
    while (header := _read(source, BLOCK)) != bytes(BLOCK):
        extended, records = header, Records()
        if header[TYPE] == PAX:
            records = parse_records(_read_padded(source, parse_number(header[SIZE])))
            header = _read(source, BLOCK)
        else:
            extended = _extended(header)
        size = int(records.get(b"size", b"0")) or parse_number(header[SIZE])
        if header[TYPE] == REGULAR and not size and (device := devices.parse(records.get(PLACEHOLDER, b""))):
            del records[PLACEHOLDER]
            header = _device(header, device) if with_devices else header
        label = wanted.get(_path(header, records))
        if label is not None and header[TYPE] != LINK:
            records[ATTRIBUTE] = labels.value(label)
            records[SELINUX] = labels.value(label)[:-1]
        if records:
            data = format_records(records)
            target.write(_with_size(extended, len(data)) + data + bytes(-len(data) % BLOCK))
        target.write(header)
        _copy_bytes(source, target, size + -size % BLOCK)
    shutil.copyfileobj(source, _Nowhere())
    target.write(bytes(2 * BLOCK))
    target.write(bytes(-target.tell() % RECORD))


def parse_records(data: bytes) -> Records:
    """The records of a pax header."""
    records = Records()
    at = 0
    while at < len(data):
        length = int(data[at : data.index(b" ", at)])
        key, _, value = data[at : at + length - 1].split(b" ", 1)[1].partition(b"=")
        records[key] = value
        at += length
    return records


def format_records(records: Records) -> bytes:
    """A pax header with the records sorted by name, each with its own length in front."""
    texts = []
    for key, value in sorted(records.items()):
        rest = len(key) + len(value) + 3  # a space, an equals sign and a line break
        length = rest + len(str(rest))
        length = rest + len(str(length))
        texts.append(b"%d %b=%b\n" % (length, key, value))
    return b"".join(texts)


def parse_number(field: bytes) -> int:
    """A numeric field of a header: octal digits, or from 8 GiB on GNU's base 256."""
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ((1 << 95) - 1)
    return int(field.rstrip(b"\0 "), 8)


def _path(header: bytes, records: Records) -> str:
    """The entry's path as a key of labels: "/" for the root."""
    name = records.get(b"path") or header[NAME].rstrip(b"\0")
    if b"path" not in records and (above := header[345:500].rstrip(b"\0")):
        name = above + b"/" + name
    return os.fsdecode(name.removeprefix(b".").rstrip(b"/")) or "/"


def _extended(header: bytes) -> bytes:
    """A tar header for a pax header, for an entry that has none."""
    made = bytearray(header)
    above, _, name = header[NAME].rstrip(b"\0/").rpartition(b"/")
    made[NAME] = (above + b"/PaxHeaders/" + name)[:100].ljust(100, b"\0")
    made[MODE] = b"0000644\0"
    made[TYPE] = PAX
    made[LINK_NAME] = bytes(100)
    made[OWNER_NAMES] = bytes(64)
    return bytes(made)


def _with_size(header: bytes, size: int) -> bytes:
    made = bytearray(header)
    made[SIZE] = b"%011o\0" % size
    return _with_checksum(made)


def _device(header: bytes, device: Device) -> bytes:
    """The header of a device node, from that of its placeholder."""
    made = bytearray(header)
    made[TYPE] = TYPES[device.kind]
    made[MAJOR], made[MINOR] = b"%07o\0" % device.major, b"%07o\0" % device.minor
    return _with_checksum(made)


def _with_checksum(made: bytearray) -> bytes:
    made[CHECKSUM] = b" " * 8
    made[CHECKSUM] = b"%06o\0 " % sum(made)
    return bytes(made)


def _read(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise StageError("tar made an archive that ends too early")
    return data


def _read_padded(source: BinaryIO, size: int) -> bytes:
    return _read(source, size + -size % BLOCK)[:size]


def _copy_bytes(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size:
        data = _read(source, min(size, 1 << 20))
        target.write(data)
        size -= len(data)


class _Nowhere:
    """Discards what follows the archive's end."""

    def write(self, data: bytes) -> int:
        return len(data)
