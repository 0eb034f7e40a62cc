"""Write a tree into an empty XFS."""

import os
import stat
import struct
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from stagelib.disk import sizes, swap_files
from stagelib.disk.filesystems.xfs.writer import attributes, blocks, files, groups, inodes, names, space
from stagelib.disk.filesystems.xfs.writer.attributes import Attribute, CannotKeepError
from stagelib.disk.filesystems.xfs.writer.blocks import Writer
from stagelib.disk.filesystems.xfs.writer.files import File
from stagelib.disk.filesystems.xfs.writer.inodes import Extent, Fork, Inode
from stagelib.disk.filesystems.xfs.writer.names import Logical, Name
from stagelib.disk.filesystems.xfs.writer.space import Space
from stagelib.disk.sizes import BLOCK
from stagelib.errors import StageError

LONGEST_TARGET = 1023  # XFS_SYMLINK_MAXLEN without a NUL
SYMLINK_HEADER = 56
LARGEST_MAJOR, LARGEST_MINOR = 511, (1 << 18) - 1  # xfs_generic_create() of the kernel refuses others
LEAST_ROOM = 64  # bytes of an inode that attributes leave to data
LARGEST_NUMBER = (1 << 32) - 1
TYPES = {
    stat.S_IFREG: names.REGULAR,
    stat.S_IFDIR: names.DIRECTORY,
    stat.S_IFCHR: names.CHARACTER,
    stat.S_IFBLK: names.BLOCK_DEVICE,
    stat.S_IFIFO: names.FIFO,
    stat.S_IFSOCK: names.SOCKET,
    stat.S_IFLNK: names.SYMLINK,
}


def fill(image: BinaryIO, offset: int, tree: str, *, epoch: int, labels: Mapping[str, str]) -> None:
    """Write `tree` into the empty XFS at byte `offset` of `image`.

    Owners, modes, hard links, extended attributes, ACLs, devices and times of modification are the tree's; all other
    times become `epoch` (seconds since 1970). Raises StageError for files that XFS cannot hold, and when the
    tree does not fit.
    """
    found = files.list_files(tree)
    room = space.read(image, offset)
    free = sum(group.left for group in room.groups) * BLOCK
    try:
        _Filler(room, Writer(image, offset, room.geometry), found, epoch, labels).run()
    except space.FullError as full:
        raise does_not_fit(tree, f"the file system has room for {sizes.human(free)}") from full


def does_not_fit(tree: str, room: str) -> StageError:
    """The error for a tree that is too large; room: a description of the available space."""
    need = sizes.of_tree(tree)
    return StageError(
        f"the tree does not fit: it has {sizes.human(need.data)} in {need.inodes} files and directories, {room}",
        "raise its size",
    )


class _Filler:
    def __init__(self, room: Space, writer: Writer, found: list[File], epoch: int, labels: Mapping[str, str]) -> None:
        self._space, self._writer, self._files = room, writer, found
        self._epoch, self._labels = epoch, labels

    def run(self) -> None:
        geometry = self._space.geometry
        self._number()
        groups.write_inodes(self._space, self._writer)
        for number, body in enumerate(groups.first_chunk(self._space, self._writer, self._epoch), 1):
            self._inode(geometry.root + number, body)
        for file in self._files:
            self._inode(file.number, inodes.packed(self._made(file), geometry.uuid))
        for group in self._space.groups:
            for first, free in group.chunks:
                last = geometry.inode(geometry.block(group.number, first)) + groups.CHUNK
                for number in range(last - free, last):
                    self._inode(number, inodes.unused(number, geometry.uuid))
        groups.write(self._space, self._writer)
        self._writer.flush()

    def _number(self) -> None:
        """Assign inode numbers to the files, in the order of the list."""
        root, todo = self._space.geometry.root, len(self._files) - 1
        numbers = [root, *range(root + 3, root + groups.CHUNK)]  # mkfs.xfs uses two
        self._space.groups[0].chunks.append((root >> 3, max(0, len(numbers) - 1 - todo)))
        while len(numbers) < len(self._files):
            group = self._space.take_chunk()
            first = group.chunks[-1][0]
            start = self._space.geometry.inode(self._space.geometry.block(group.number, first))
            group.chunks[-1] = (first, max(0, len(numbers) + groups.CHUNK - len(self._files)))
            numbers += range(start, start + groups.CHUNK)
        for file, number in zip(self._files, numbers, strict=False):
            if number > LARGEST_NUMBER:
                raise space.FullError("inodes beyond 2 TiB")
            file.number = number

    def _inode(self, number: int, body: bytes) -> None:
        self._writer.record(self._space.geometry.inode_byte(number), body, inodes.CHECKSUM)

    def _made(self, file: File) -> Inode:
        info = file.info
        try:
            attached = attributes.from_kernel(files.attributes(file, self._labels))
            data, kept, size = self._forks(file, attached)
        except CannotKeepError as error:
            raise StageError(f"{file.name}: {error}", "use ext4 or btrfs, or leave the file out") from None
        return Inode(
            number=file.number,
            mode=info.st_mode,
            owner=(info.st_uid, info.st_gid),
            links=file.links,
            size=size,
            modified=info.st_mtime_ns,
            other=self._epoch * 10**9,
            data=data,
            attributes=kept,
        )

    def _forks(self, file: File, attached: Sequence[Attribute]) -> tuple[Fork, Fork | None, int]:
        """Its data, attributes and size. What fits is stored in the inode: attributes first, then data."""
        kept = None
        if attached:
            short = attributes.short(attached)
            if short is not None and len(short) <= inodes.ROOM - LEAST_ROOM:
                kept = Fork(inodes.LOCAL, short)
            else:
                extents = self._blocks([attributes.leaf(attached)], file.number)
                kept = inodes.extents_fork(extents, inodes.ROOM, file.number, self._one, self._writer.block)
        room = inodes.ROOM - (-(-len(kept.body) // 8) * 8 if kept else 0)
        if stat.S_ISREG(file.info.st_mode):
            fork = inodes.extents_fork(self._data(file), room, file.number, self._one, self._writer.block)
            return fork, kept, file.info.st_size
        if stat.S_ISDIR(file.info.st_mode):
            fork, size = self._directory(file, room)
            return fork, kept, size
        if stat.S_ISLNK(file.info.st_mode):
            fork, size = self._symlink(file, room)
            return fork, kept, size
        device = 0 if stat.S_ISFIFO(file.info.st_mode) or stat.S_ISSOCK(file.info.st_mode) else file.info.st_rdev
        major, minor = os.major(device), os.minor(device)
        if major > LARGEST_MAJOR or minor > LARGEST_MINOR:
            raise CannotKeepError(
                f"a device node of XFS has numbers up to {LARGEST_MAJOR}:{LARGEST_MINOR}, this one is {major}:{minor}"
            )
        return inodes.device(device, major, minor), kept, 0

    def _directory(self, file: File, room: int) -> tuple[Fork, int]:
        entries = [
            Name(name, self._files[number].number, TYPES[stat.S_IFMT(self._files[number].info.st_mode)])
            for name, number in file.entries
        ]
        parent = self._files[file.parent].number
        short = names.short(entries, parent)
        if short is not None and len(short) <= room:
            return Fork(inodes.LOCAL, short), len(short)
        made = names.long(entries, file.number, parent)
        extents = self._blocks(made, file.number)
        fork = inodes.extents_fork(extents, room, file.number, self._one, self._writer.block)
        return fork, names.entries_size(made)

    def _symlink(self, file: File, room: int) -> tuple[Fork, int]:
        target = os.readlink(file.path)
        if len(target) > LONGEST_TARGET:
            raise CannotKeepError(f"a symlink of XFS has up to {LONGEST_TARGET} bytes, this one has {len(target)}")
        if len(target) <= room:
            return Fork(inodes.LOCAL, target), len(target)
        body = bytearray(BLOCK)
        struct.pack_into(">4sII", body, 0, b"XSLM", 0, len(target))
        body[SYMLINK_HEADER : SYMLINK_HEADER + len(target)] = target
        extents = self._blocks([Logical(0, body, blocks.SYMLINK)], file.number)
        fork = inodes.extents_fork(extents, room, file.number, self._one, self._writer.block)
        return fork, len(target)

    def _data(self, file: File) -> list[Extent]:
        is_swap, end = swap_files.is_swap_file(file.path, file.info), 0
        extents = []
        for at, part in files.data(file):
            if is_swap:
                extents += self._extents(end, at - end)
            count = -(-len(part) // BLOCK)
            extents += self._extents(at, count, part)
            end = at + count
        if is_swap:
            extents += self._extents(end, file.info.st_size // BLOCK - end)
        return inodes.joined(extents)

    def _extents(self, at: int, count: int, part: bytes = b"") -> list[Extent]:
        """Write a part of a file to `count` blocks, from number `at` of the file on; without it, they stay zeroes."""
        made: list[Extent] = []
        done = 0
        while done < count:
            block, got = self._space.take(count - done)
            if part:
                self._writer.data(self._space.geometry.byte(block), part[done * BLOCK : (done + got) * BLOCK])
            made.append(Extent(at + done, block, got))
            done += got
        return made

    def _blocks(self, made: Sequence[Logical], owner: int) -> list[Extent]:
        """Write metadata blocks of a file; returns their extents."""
        extents = []
        for item in sorted(made, key=lambda item: item.at):
            block = self._one()
            self._writer.block(block, item.body, item.header, owner)
            extents.append(Extent(item.at, block, 1))
        return inodes.joined(extents)

    def _one(self) -> int:
        return self._space.take(1)[0]
