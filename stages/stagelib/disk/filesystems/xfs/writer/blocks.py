"""Write blocks and records with checksums into an XFS."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from stagelib.disk import crc32c
from stagelib.disk.filesystems.xfs.writer.space import Geometry
from stagelib.disk.sizes import BLOCK, MIB


@dataclass(frozen=True)
class Header:
    """The offsets in a block's header of its address, the file system's UUID, its owner and its checksum.

    owner_size: bytes in `owner`, which is shorter in the trees of allocation groups.
    """

    address: int
    uuid: int
    owner: int
    checksum: int
    owner_size: int = 8


DATA = Header(address=8, uuid=24, owner=40, checksum=4)  # struct xfs_dir3_blk_hdr
NAMES = Header(address=16, uuid=32, owner=48, checksum=12)  # struct xfs_da3_blkinfo
SYMLINK = Header(address=40, uuid=16, owner=32, checksum=12)  # struct xfs_dsymlink_hdr
LONG_TREE = Header(address=24, uuid=40, owner=56, checksum=64)  # struct xfs_btree_block_lhdr, after 8 bytes
SHORT_TREE = Header(address=16, uuid=32, owner=48, checksum=52, owner_size=4)  # struct xfs_btree_block_shdr, likewise


class Writer:
    """Writes into the XFS at byte `offset` of a file; records with checksums are buffered to compute many at once."""

    ROOM = 8 * MIB

    def __init__(self, file: BinaryIO, offset: int, geometry: Geometry) -> None:
        self._file = file
        self._offset = offset
        self._geometry = geometry
        self._kept: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
        self._size = 0

    def read(self, at: int, size: int) -> bytearray:
        """The bytes at `at` of the file system, without buffered records."""
        self._file.seek(self._offset + at)
        return bytearray(self._file.read(size))

    def data(self, at: int, data: bytes) -> None:
        """Write data at byte `at` of the file system."""
        self._file.seek(self._offset + at)
        self._file.write(data)

    def record(self, at: int, record: bytes, checksum: int) -> None:
        """Write a record at byte `at`, with a checksum in place of its four zeroes at `checksum`."""
        self._kept.setdefault((len(record), checksum), []).append((at, record))
        self._size += len(record)
        if self._size > self.ROOM:
            self.flush()

    def block(self, block: int, body: bytearray, header: Header, owner: int) -> None:
        """Write a block with its header filled in."""
        at = self._geometry.byte(block)
        struct.pack_into(">Q", body, header.address, at // 512)
        body[header.uuid : header.uuid + 16] = self._geometry.uuid
        struct.pack_into(">Q" if header.owner_size == 8 else ">I", body, header.owner, owner)
        assert len(body) == BLOCK
        self.record(at, bytes(body), header.checksum)

    def flush(self) -> None:
        """Write the buffered records."""
        for (size, where), records in self._kept.items():
            sums = crc32c.of_records(b"".join(record for _, record in records), size)
            for (at, record), checksum in zip(records, sums, strict=True):
                self.data(at, record[:where] + struct.pack("<I", checksum) + record[where + 4 :])
        self._kept, self._size = {}, 0
