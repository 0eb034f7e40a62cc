"""A whole disk in a plain file: table, file systems, boot loader."""

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
    """What is written outside of file systems: GRUB's boot sector and core image for BIOS, or nothing."""

    bios_grub: bool = False


@dataclass(frozen=True)
class Made:
    """A disk that is there: where its partitions are, and the root hashes of dm-verity by the files they belong in."""

    plan: planner.Plan
    root_hashes: Mapping[str, str]


def make(image: str, tree: str, disk: layout.Disk, loader: Loader, secrets: Mapping[str, str] = NONE) -> Made:
    """Make the disk in the new file `image` from `tree`. secrets has the passphrases that the disk names.

    Raises StageError for what does not fit or cannot be made. Nothing of the disk is written before all is known.
    """
    points = [point for item in disk.partitions for point in item.mountpoints]
    # Scratch files lie beside the image, where the kernel can share their blocks instead of copying them.
    beside = output.scratch_beside(os.path.dirname(image))
    with ExitStack() as stack:
        work = stack.enter_context(beside)
        copies = RootHashFiles(tree, disk.root_hash_files, work)
        parts = stack.enter_context(tree_parts.split(tree, points, copies.files))
        other = stack.enter_context(ThreadPoolExecutor(1))
        made = {
            number: _encrypted(filling, disk, disk.partitions[number], secrets, work)
            for number, filling in _fillings(tree, disk, parts, work).items()
        }
        chosen = bios_grub.choose(tree, disk) if loader.bios_grub else None
        core = other.submit(bios_grub.core_image, chosen, work) if chosen else None  # beside the file systems
        sealed = verity.seal(disk, made, copies, work)
        disk = verity.with_uuids(disk, sealed)
        made = {number: filling for number, filling in made.items() if number not in sealed.files}
        plan = _plan(disk, made, sealed)
        where = bios_grub.spot(disk, plan) if chosen else None
        with open(image, "wb") as file:
            file.truncate(plan.size)
        table.write(image, disk, plan)
        for number, path in sealed.files.items():
            sparse_copy.put(path, image, plan.places[number])
            os.unlink(path)
        for number, filling in made.items():
            filling.write(image, plan.places[number])
        if chosen and core and where:
            bios_grub.install(image, chosen, core.result(), where)
    return Made(plan, {hashes.filename: sealed.roots[number] for number, hashes in disk.hashes})


def _fillings(
    tree: str, disk: layout.Disk, parts: Mapping[str, tree_parts.TreePart], work: str
) -> dict[int, partition_content.PartitionContent]:
    """What fills each partition that is not left empty."""

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
    filling: partition_content.PartitionContent,
    disk: layout.Disk,
    item: layout.Partition,
    secrets: Mapping[str, str],
    work: str,
) -> partition_content.PartitionContent:
    if item.luks is None:
        return filling
    passphrase = secrets.get(item.luks.passphrase)
    if not passphrase:
        raise StageError(
            f"{item.title}: the passphrase {item.luks.passphrase} was not given",
            'the runner takes it by --secrets, in {"org.osbuild-compose.passphrases": {NAME: PASSPHRASE}}',
        )
    return luks.Encrypted(filling, item.luks, passphrase, work, disk.sector)


def _plan(
    disk: layout.Disk, made: Mapping[int, partition_content.PartitionContent], sealed: verity.Sealed
) -> planner.Plan:
    """Place the partitions; looks for what takes the space only when something does not fit."""
    needs = {number: os.path.getsize(path) for number, path in sealed.files.items()}
    for number, filling in made.items():
        item = disk.partitions[number]
        given = item.size is not None or (item.grow and disk.size is not None)
        needs[number] = filling.least() if given else filling.need(disk.free)
    try:
        return planner.plan(disk, needs)
    except StageError:
        # With what the file system itself would take, and what takes the space.
        for number, filling in made.items():
            needs[number] = max(needs[number], filling.need(0))
        return planner.plan(disk, needs, {number: filling.takes() for number, filling in made.items()})
