"""Make a whole disk in a plain file: partition table, file systems, boot loader."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType

from stagelib.disk import (
    bios_grub,
    layout,
    luks,
    output,
    partition_content,
    planner,
    sparse_copy,
    table,
    tree_parts,
    verity,
)
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.verity import RootHashFiles
from stagelib.errors import StageError

NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Loader:
    """The boot loader outside of file systems: GRUB's boot sector and core image for BIOS, or none."""

    bios_grub: bool = False


@dataclass(frozen=True)
class Made:
    """A finished disk: the places of its partitions, and the root hashes of dm-verity by output file name."""

    plan: planner.Plan
    root_hashes: Mapping[str, str]


def make(image: str, tree: str, disk: layout.Disk, loader: Loader, secrets: Mapping[str, str] = NONE) -> Made:
    """Make the disk in the new file `image` from `tree`. secrets: the passphrases of the disk by name.

    Raises StageError when something does not fit or cannot be made. The disk is written only when all sizes are known.
    """
    points = [point for item in disk.partitions for point in item.mountpoints]
    with ExitStack() as stack:
        # On the image's file system, so that the kernel can share blocks instead of copying them.
        work = stack.enter_context(output.scratch_in(os.path.dirname(image)))
        copies = RootHashFiles(tree, disk.root_hash_files, work)
        parts = stack.enter_context(tree_parts.split(tree, points, copies.files))
        other = stack.enter_context(ThreadPoolExecutor(1))
        made = {
            number: _encrypted(content, disk, disk.partitions[number], secrets, work)
            for number, content in _contents(tree, disk, parts, work).items()
        }
        chosen = bios_grub.choose(tree, disk) if loader.bios_grub else None
        core = other.submit(bios_grub.core_image, chosen, work) if chosen else None  # in the background
        sealed = verity.seal(disk, made, copies, work)
        disk = verity.with_uuids(disk, sealed)
        made = {number: content for number, content in made.items() if number not in sealed.files}
        plan = _plan(disk, made, sealed)
        where = bios_grub.spot(disk, plan) if chosen else None
        with open(image, "wb") as file:
            file.truncate(plan.size)
        table.write(image, disk, plan)
        for number, path in sealed.files.items():
            sparse_copy.copy_into(path, image, plan.places[number])
            os.unlink(path)
        for number, content in made.items():
            content.write(image, plan.places[number])
        if chosen and core and where:
            bios_grub.install(image, chosen, core.result(), where)
    return Made(plan, {hashes.filename: sealed.roots[number] for number, hashes in disk.hashes})


def _contents(
    tree: str, disk: layout.Disk, parts: Mapping[str, tree_parts.TreePart], work: str
) -> dict[int, partition_content.PartitionContent]:
    """The content of each partition that is not left empty."""

    def filled(fs: layout.FileSystem, name: str, title: str) -> partition_content.PartitionContent:
        own = os.path.join(work, name)
        os.mkdir(own)
        return partition_content.FileSystemContent(FsSpec(fs, tree, parts, own, output.epoch(), disk.sector), title)

    made: dict[int, partition_content.PartitionContent] = {}
    for number, item in enumerate(disk.partitions):
        name = f"partition-{number + 1}"
        if item.file_system:
            made[number] = filled(item.file_system, name, item.title)
        elif item.volume_group:
            volumes = [
                filled(volume.file_system, f"{name}-{volume.name}", volume.name) if volume.file_system else None
                for volume in item.volume_group.volumes
            ]
            made[number] = partition_content.VolumeGroupContent(item.volume_group, volumes, disk.free, output.epoch())
    return made


def _encrypted(
    content: partition_content.PartitionContent,
    disk: layout.Disk,
    item: layout.Partition,
    secrets: Mapping[str, str],
    work: str,
) -> partition_content.PartitionContent:
    if item.luks is None:
        return content
    passphrase = secrets.get(item.luks.passphrase)
    if not passphrase:
        raise StageError(
            f"{item.title}: the passphrase {item.luks.passphrase} was not given",
            'the runner takes it by --secrets, in {"org.osbuild-compose.passphrases": {NAME: PASSPHRASE}}',
        )
    return luks.Encrypted(content, item.luks, passphrase, work, disk.sector)


def _plan(
    disk: layout.Disk, made: Mapping[int, partition_content.PartitionContent], sealed: verity.Sealed
) -> planner.Plan:
    """Place the partitions; finds the largest directories only when something does not fit."""
    needs = {number: os.path.getsize(path) for number, path in sealed.files.items()}
    for number, content in made.items():
        item = disk.partitions[number]
        given = item.size is not None or (item.grow and disk.size is not None)
        needs[number] = content.minimum() if given else content.need(disk.free)
    try:
        return planner.plan(disk, needs)
    except StageError:
        # With the file systems' own overhead, and the largest directories.
        for number, content in made.items():
            needs[number] = max(needs[number], content.need(0))
        return planner.plan(disk, needs, {number: content.largest() for number, content in made.items()})
