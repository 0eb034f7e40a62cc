"""A tree as a tar archive, the same bytes every time."""

import struct
import zlib
from collections.abc import Mapping

from stagelib import selinux
from stagelib.disk import compress, labels, tar_labels, tools
from stagelib.disk.errors import ImageError

LZOP_MAGIC = b"\x89LZO\0\r\n\x1a\n"


def make(archive: str, tree: str, *, compression: str | None) -> None:
    """Pack `tree` into the new file `archive`, compressed with gzip, by a key of compress.PROGRAMS, or not at all."""
    make_all({compression: archive}, tree)


def make_all(
    archives: Mapping[str | None, str], tree: str, *others: compress.Take, wanted: Mapping[str, str] | None = None
) -> None:
    """Pack `tree` once into several new files, by their compression as for make(); `others` are given it as well.

    Entries are sorted and named ./...; owners are numbers; extended attributes and ACLs are in; SELinux labels are
    those that the tree is to have (labels.of_tree), or `wanted`. Times of modification are the tree's; there are no
    others.
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
        f"--xattrs-exclude={labels.XATTR}",  # that of the machine where the tree was made
        "--acls",
        "--no-wildcards",
        "--anchored",
        f"--exclude=./{selinux.RECORD}",
        ".",
    ]
    found = labels.of_tree(tree) if wanted is None else wanted
    with compress.writing(archives, *others) as file:
        tools.pipe(argv, lambda source: tar_labels.copy(source, file, found))
    if "lzop" in archives:
        clear_lzop_time(archives["lzop"])


def clear_lzop_time(archive: str) -> None:
    """Set the time in an lzop file's header to 0, which --no-name leaves in; layout: lzop's lzop.c, write_header()."""
    with open(archive, "r+b") as file:  # noqa: PTH123
        header = bytearray(file.read(64))
        size = 34 + header[33]  # magic 9, versions 6, method 1, level 1, flags 4, mode 4, time 8, name 1 + n; at 33: n
        flags = struct.unpack_from(">I", header, 17)[0]
        crc_instead_of_adler = 0x1000
        if header[:9] != LZOP_MAGIC or flags & crc_instead_of_adler:
            raise ImageError("lzop made a file of a layout that is not known here")
        header[25:33] = bytes(8)
        struct.pack_into(">I", header, size, zlib.adler32(bytes(header[9:size])))
        file.seek(0)
        file.write(header[: size + 4])
