"""The parts of an XFS that are functions: hashes of names, forms of directories, attributes, checksums."""

import random

import pytest
from stagelib.disk import crc32c
from stagelib.disk.filesystems.xfs.writer import attributes, inodes, names
from stagelib.disk.filesystems.xfs.writer.attributes import CannotKeepError
from stagelib.disk.filesystems.xfs.writer.inodes import Extent
from stagelib.disk.filesystems.xfs.writer.names import REGULAR, Name


def test_checksums_of_many_are_those_of_each() -> None:
    data = random.Random(1).randbytes(512 * 9)
    assert crc32c.of_records(data, 512) == [crc32c.crc32c(data[at : at + 512]) for at in range(0, len(data), 512)]
    assert crc32c.of_records(b"123456789", 9) == [0xE3069283]  # RFC 3720 B.4 and every other list of check values


def test_hash_of_a_name() -> None:
    # xfs_db> hash NAME
    assert names.hashed(b"a") == 0x61
    assert names.hashed(b"hostname") == 0x4D09C97A


@pytest.mark.parametrize(("count", "blocks"), [(10, 1), (180, 4), (900, 15), (60_000, 856)])
def test_a_directory_has_the_form_that_its_size_asks_for(count: int, blocks: int) -> None:
    entries = [Name(b"%08d-%s" % (number, b"x" * (number % 50)), 1000 + number, REGULAR) for number in range(count)]
    made = names.long(entries, 128, 128)
    assert len(made) == blocks
    assert len({block.at for block in made}) == blocks
    assert all(len(block.body) == 4096 for block in made)


def test_extents_that_follow_each_other_are_one() -> None:
    assert inodes.joined([Extent(0, 50, 2), Extent(2, 52, 1), Extent(3, 60, 1)]) == [Extent(0, 50, 3), Extent(3, 60, 1)]
    assert len(inodes.joined([Extent(0, 0, (1 << 21) - 1), Extent((1 << 21) - 1, (1 << 21) - 1, 1)])) == 2


def test_what_has_no_place_is_refused() -> None:
    with pytest.raises(CannotKeepError, match=r"no place for the attribute system\.nfs4_acl"):
        attributes.from_kernel({"system.nfs4_acl": b"1"})
    with pytest.raises(CannotKeepError, match="larger than 3072 bytes"):
        attributes.leaf(attributes.from_kernel({"user.large": bytes(4000)}))
    assert attributes.short(attributes.from_kernel({"user.large": bytes(256)})) is None
