"""An inspection: from the path of an image to a Report."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osbuild_compose.errors import HostError, InputError
from osbuild_compose.inspecting import disk, partitions
from osbuild_compose.inspecting.analysis import accounts, bootloader, packages, services, system
from osbuild_compose.inspecting.analysis.bootloader import KernelEntry, Loader
from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.containers.opening import Opened, open_image
from osbuild_compose.inspecting.disk import Mount, Volume
from osbuild_compose.inspecting.notes import Notes
from osbuild_compose.inspecting.partitions import PartitionTable
from osbuild_compose.inspecting.report import Boot, Image, MountedFileSystem, Report, System
from osbuild_compose.inspecting.text import shown
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import Kind, TooMuchError, Tree
from osbuild_compose.inspecting.trees.archive import ArchiveTree, IsoTree
from osbuild_compose.inspecting.trees.directory import DirectoryTree
from osbuild_compose.inspecting.trees.squashfs import SquashfsTree

_LIVE = (".squashfs", "squashfs.img", ".sfs")  # how files are called that a live system has its root in
_TOPS = ("/boot/efi", "/efi", "/boot")  # where systems have the EFI system partition


def inspect(path: Path) -> Report:
    """What is in the image, or in the directory of a tree.

    Raises InputError for what is no image or damaged as a whole; what can be read in part gives a report with notes.
    """
    try:
        if not path.is_dir() and not path.is_file() and path.exists():
            raise InputError(f"{path} is not a file", hint="give an image, or a directory with a system's files")
        with _workplace() as directory:
            tools = Tools(directory)
            return _report(path, open_image(path.absolute(), tools), tools)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", hint="check the path and its spelling") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except ToolError as error:
        raise InputError(f"cannot read {path}: {shown(str(error))}", hint=shown(error.hint)) from None
    except TooMuchError as error:
        raise InputError(f"cannot read {path}: {error}") from None


@contextmanager
def _workplace() -> Iterator[Path]:
    """A directory of our own, which goes in the end."""
    directory = tempfile.mkdtemp(prefix="compose-inspect-", dir=_room())
    try:
        yield Path(directory)
    finally:
        # What was taken out of an image may be deeper than what Python's own way of removing can follow.
        subprocess.run(["rm", "-rf", "--", directory], check=False)


def _room() -> str:
    """Where copies of disks go: /var/tmp, which is not in memory as /tmp may be, unless TMPDIR says otherwise."""
    room = os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 - a directory of our own is made in it
    if not os.access(room, os.W_OK | os.X_OK):
        raise HostError(f"cannot write to {room}", hint="set TMPDIR to a directory with room")
    return room


def _report(path: Path, opened: Opened, tools: Tools) -> Report:
    notes = Notes()
    if opened.missing:
        notes.add(f"what is in it cannot be read: {opened.missing}", opened.missing.hint)
    table = partitions.read(opened.disk) if opened.disk else None
    found = disk.volumes(opened.disk, table, tools, notes) if opened.disk else []
    image_format = _format(opened, table, found)
    if image_format == "raw" and not table and not found:
        raise InputError(
            f"{path} is no image that is known: no partition table, file system or archive is in it",
            hint="compose inspect reads what compose build makes, and such images of others",
        )
    tree, mounts = disk.system(found, notes)
    others = [volume for volume in found if volume.tree and volume not in [mount.volume for mount in mounts]]
    tree = tree or opened.tree
    boot = _boot(opened, tree, others, notes)
    live = _live(others, opened.tree, tools, notes) if tree is None or not system.is_system(tree) else None
    tree = live or tree
    size = path.stat().st_size if path.is_file() else None
    about = provenance = None
    if tree and system.is_system(tree):
        about = _system(tree, tools, notes)
        with notes.instead_of_errors("what the build wrote about itself"):
            provenance = system.provenance(tree)
    elif not opened.missing:
        notes.add("there is no operating system in it, as far as it can be read")
    return Report(
        Image(os.fspath(path), image_format, size, opened.virtual_size if image_format != "iso" else None),
        opened.container,
        table,
        _file_systems(found, mounts),
        boot,
        about,
        provenance,
        notes.all,
    )


def _format(opened: Opened, table: PartitionTable | None, found: list[Volume]) -> str:
    """What the image is: a raw disk with a file system and no partitions is that file system's."""
    if not opened.format.startswith("raw") or not found or found[0].partition:
        return opened.format
    kind = found[0].file_system.type
    if kind == "iso9660":
        return "iso"
    return opened.format if table or found[0].tree is None else kind + opened.format.removeprefix("raw")


def _file_systems(found: list[Volume], mounts: list[Mount]) -> tuple[MountedFileSystem, ...]:
    made = []
    for volume in found:
        about = volume.file_system
        points = [mount.point for mount in mounts if mount.volume is volume]
        made.append(
            MountedFileSystem(
                volume.partition.number if volume.partition else None,
                volume.logical,
                about.type,
                about.uuid,
                about.label,
                about.size,
                about.used,
                points[0] if points else None,
            )
        )
    return tuple(made)


def _boot(opened: Opened, tree: Tree | None, others: list[Volume], notes: Notes) -> Boot:
    """The boot loaders of the disk, of the system and of partitions that the system does not mount."""
    loaders: list[Loader] = []
    entries: list[KernelEntry] = []
    first = bootloader.in_first_sector(opened.disk.read(0, 512)) if opened.disk else None
    loaders += [first] if first else []
    places: list[tuple[Tree, tuple[str, ...], str]] = [(tree, _TOPS, "")] if tree else []
    places += [(one.tree, ("/",), f"{one.place}: ") for one in others if one.tree]
    for place, tops, where in places:
        with notes.instead_of_errors(f"the boot loader ({where or 'of the system'})"):
            if isinstance(place, IsoTree):
                loaders += [Loader("el-torito", firmware) for firmware in place.boots()]
            for top in tops:
                found = bootloader.efi(place, top, where)
                loaders += found[0]
                entries += found[1]
            entries += bootloader.entries(place, tops, where)
    return Boot(tuple(dict.fromkeys(loaders)), tuple(dict.fromkeys(entries)))


def _live(others: list[Volume], archive: Tree | None, tools: Tools, notes: Notes) -> Tree | None:
    """The system of a live disc or of one that starts over a network: a squashfs file among its files."""
    for tree in (*(volume.tree for volume in others), archive):
        if tree is None:
            continue
        files = [(entry.size, path) for path, entry in tree.entries.items() if _is_live_root(path, entry.kind)]
        for _, path in sorted(files, reverse=True)[:1]:
            with notes.instead_of_errors(path):
                return SquashfsTree(_area(tree, path), tools)
    return None


def _is_live_root(path: str, kind: Kind) -> bool:
    return kind is Kind.FILE and path.endswith(_LIVE)


def _area(tree: Tree, path: str) -> Area:
    """Where the file of an archive, a disc or a directory lies."""
    if isinstance(tree, ArchiveTree | DirectoryTree):
        return tree.extract(path)
    raise ToolError("it is a file system inside another one")


def _system(tree: Tree, tools: Tools, notes: Notes) -> System:
    installed = None
    with notes.instead_of_errors("the installed packages"):
        installed = packages.packages(tree, tools)
    users: tuple[accounts.User, ...] = ()
    with notes.instead_of_errors("the users"):
        users = accounts.users(tree)
    release: dict[str, str] = {}
    with notes.instead_of_errors("os-release"):
        release = system.os_release(tree)
    name = None
    with notes.instead_of_errors("the host name"):
        name = system.hostname(tree)
    enabled = services.Services(None, (), ())
    with notes.instead_of_errors("the services"):
        enabled = services.services(tree)
    return System(
        release,
        name,
        system.kernels(tree),
        installed,
        users,
        enabled,
        system.largest_directories(tree),
    )
