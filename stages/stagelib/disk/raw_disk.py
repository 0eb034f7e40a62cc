"""A whole disk in a plain file: table, file systems, boot loader."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from stagelib import api
from stagelib.disk import contents, file_systems, grub, layout, output, planner, sparse, table, verity
from stagelib.disk.errors import ImageError
from stagelib.disk.fs_job import Job
from stagelib.disk.root_hashes import Copies


@dataclass(frozen=True)
class Loader:
    """What is written outside of file systems: GRUB's boot sector and core image for BIOS, or nothing."""

    bios_grub: bool = False


@dataclass(frozen=True)
class Made:
    """A disk that is there: where its partitions are, and the root hashes of dm-verity by the files they belong in."""

    plan: planner.Plan
    root_hashes: Mapping[str, str]


def make(image: str, tree: str, disk: layout.Disk, loader: Loader) -> Made:
    """Make the disk in the new file `image` from `tree`.

    Raises ImageError for what does not fit or cannot be made. Nothing of the disk is written before all is known.
    """
    points = [point for item in disk.partitions if item.file_system for point in item.file_system.mountpoints]
    # Scratch files lie beside the image, where the kernel can share their blocks instead of copying them.
    beside = output.scratch_beside(os.path.dirname(image))
    with ExitStack() as stack:
        work = stack.enter_context(beside)
        copies = Copies(tree, disk.root_hash_files, work)
        parts = stack.enter_context(contents.split(tree, points, copies.files))
        other = stack.enter_context(ThreadPoolExecutor(1))
        jobs = _jobs(tree, disk, parts, work)
        chosen = grub.choose(tree, disk) if loader.bios_grub else None
        core = other.submit(grub.core_image, chosen, work) if chosen else None  # beside the file systems
        sealed = verity.seal(disk, jobs, copies, work)
        disk = verity.with_uuids(disk, sealed)
        jobs = {number: job for number, job in jobs.items() if number not in sealed.files}
        plan = _plan(disk, jobs, sealed)
        where = grub.spot(disk, plan) if chosen else None
        with open(image, "wb") as file:  # noqa: PTH123
            file.truncate(plan.size)
        table.write(image, disk, plan)
        for number, path in sealed.files.items():
            sparse.put(path, image, plan.places[number])
            os.unlink(path)
        done, total = 0, sum(plan.places[number].size for number in jobs)
        for number, job in jobs.items():
            _fill(job, image, plan.places[number], disk.partitions[number].title)
            done += plan.places[number].size
            api.progress(done, total)
        if chosen and core and where:
            grub.install(image, chosen, core.result(), where)
    return Made(plan, {hashes.filename: sealed.roots[number] for number, hashes in disk.hashes})


def _jobs(tree: str, disk: layout.Disk, parts: dict[str, contents.Content], work: str) -> dict[int, Job]:
    jobs = {}
    for number, item in enumerate(disk.partitions):
        if item.file_system:
            own = os.path.join(work, f"partition-{number + 1}")
            os.mkdir(own)
            jobs[number] = Job(item.file_system, tree, parts, own, output.epoch(), disk.sector)
    return jobs


def _plan(disk: layout.Disk, jobs: dict[int, Job], sealed: verity.Sealed) -> planner.Plan:
    """Place the partitions; looks for what takes the space only when something does not fit."""
    needs = {number: os.path.getsize(path) for number, path in sealed.files.items()}
    for number, job in jobs.items():
        kind, item = file_systems.KINDS[job.spec.type], disk.partitions[number]
        given = item.size is not None or (item.grow and disk.size is not None)
        needs[number] = kind.least(job) if given else kind.need(job, disk.free)
    try:
        return planner.plan(disk, needs)
    except ImageError:
        # With what the file system itself would take, and what takes the space.
        for number, job in jobs.items():
            needs[number] = max(needs[number], file_systems.KINDS[job.spec.type].need(job, 0))
        return planner.plan(disk, needs, {number: job.takes() for number, job in jobs.items()})


def _fill(job: Job, image: str, place: planner.Place, title: str) -> None:
    """Make a file system; one that is too small says what takes the space."""
    try:
        file_systems.KINDS[job.spec.type].make(job, image, place)
    except ImageError as error:
        if "not fit" not in error.message:
            raise
        most = ", ".join(job.takes()[: planner.SHOWN])
        raise ImageError(f"{title}: {error.message}; most of it is {most}", error.hint) from None
