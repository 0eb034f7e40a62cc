"""Inspecting an image: from its path to a report."""

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
from osbuild_compose.inspecting.disk import Mount, Volume
from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.opening import OpenedImage, open_image
from osbuild_compose.inspecting.output import shown
from osbuild_compose.inspecting.partitions import PartitionTable
from osbuild_compose.inspecting.report import Boot, ImageFile, MountedFileSystem, Report, System
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import FileType, TooMuchError, Tree
from osbuild_compose.inspecting.trees.archive import ArchiveTree, IsoTree
from osbuild_compose.inspecting.trees.directory import DirectoryTree
from osbuild_compose.inspecting.trees.squashfs import SquashfsTree
from osbuild_compose.inspecting.warnings import Warnings

_LIVE = (".squashfs", "squashfs.img", ".sfs")  # names of the file with the root of a live system
_TOPS = ("/boot/efi", "/efi", "/boot")  # mount points of the EFI system partition


def inspect(path: Path) -> Report:
    """Inspect an image, or the directory of a tree.

    Raises InputError if it is not an image or cannot be read at all, and HostError without room for temporary files.
    An image that can be read in part gives a report with warnings.
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
    """A temporary directory."""
    directory = tempfile.mkdtemp(prefix="compose-inspect-", dir=_temporary_directory())
    try:
        yield Path(directory)
    finally:
        # What was extracted from an image may be nested too deeply for shutil.rmtree. A mount, which is somebody
        # else's, must not be emptied, and rm only notices those of other file systems.
        if not _is_mounted_in(Path(directory)):
            subprocess.run(["rm", "-rf", "--one-file-system", "--", directory], check=False)


def _is_mounted_in(directory: Path) -> bool:
    """Whether anything is mounted at the directory or below it, proc(5)."""
    points = (Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return any(point.is_relative_to(directory.resolve()) for point in points)


def _temporary_directory() -> str:
    """The directory for copies of disks: TMPDIR, or /var/tmp, as /tmp may be in memory."""
    directory = os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 - mkdtemp creates a directory in it
    if not os.access(directory, os.W_OK | os.X_OK):
        raise HostError(f"cannot write to {directory}", hint="set TMPDIR to a directory with space")
    return directory


def _report(path: Path, opened: OpenedImage, tools: Tools) -> Report:
    warnings = Warnings()
    if opened.missing:
        warnings.add(f"its content cannot be read: {opened.missing}", opened.missing.hint)
    table = partitions.read(opened.disk) if opened.disk else None
    found = disk.volumes(opened.disk, table, tools, warnings) if opened.disk else []
    image_format = _format(opened, table, found)
    if image_format == "raw" and not table and not found:
        raise InputError(
            f"{path} is not a known image: it has no partition table, file system or archive",
            hint="compose inspect reads the formats that compose build makes",
        )
    tree, mounts = disk.system(found, warnings)
    others = [volume for volume in found if volume.tree and volume not in [mount.volume for mount in mounts]]
    tree = tree or opened.tree
    boot = _boot(opened, tree, others, warnings)
    live = _live(others, opened.tree, tools, warnings) if tree is None or not system.is_system(tree) else None
    tree = live or tree
    size = path.stat().st_size if path.is_file() else None
    found_system = provenance = None
    if tree and system.is_system(tree):
        found_system = _system(tree, tools, warnings)
        with warnings.instead_of_errors("the provenance"):
            provenance = system.provenance(tree)
    elif not opened.missing:
        warnings.add("no operating system was found in it")
    return Report(
        ImageFile(os.fspath(path), image_format, size, opened.virtual_size if image_format != "iso" else None),
        opened.container,
        table,
        _file_systems(found, mounts),
        boot,
        found_system,
        provenance,
        warnings.all,
    )


def _format(opened: OpenedImage, table: PartitionTable | None, found: list[Volume]) -> str:
    """The format of the image: that of its file system, if it is a raw disk without partitions."""
    if not opened.format.startswith("raw") or not found or found[0].partition:
        return opened.format
    kind = found[0].file_system.type
    if kind == "iso9660":
        return "iso"
    return opened.format if table or found[0].tree is None else kind + opened.format.removeprefix("raw")


def _file_systems(found: list[Volume], mounts: list[Mount]) -> tuple[MountedFileSystem, ...]:
    mounted = []
    for volume in found:
        file_system = volume.file_system
        points = [mount.point for mount in mounts if mount.volume is volume]
        mounted.append(
            MountedFileSystem(
                volume.partition.number if volume.partition else None,
                volume.logical,
                file_system.type,
                file_system.uuid,
                file_system.label,
                file_system.size,
                file_system.used,
                points[0] if points else None,
            )
        )
    return tuple(mounted)


def _boot(opened: OpenedImage, tree: Tree | None, others: list[Volume], warnings: Warnings) -> Boot:
    """The boot loaders of the disk, of the system, and of volumes that the system does not mount."""
    loaders: list[Loader] = []
    entries: list[KernelEntry] = []
    first = bootloader.in_first_sector(opened.disk.read(0, 512)) if opened.disk else None
    loaders += [first] if first else []
    places: list[tuple[Tree, tuple[str, ...], str]] = [(tree, _TOPS, "")] if tree else []
    places += [(one.tree, ("/",), f"{one.place}: ") for one in others if one.tree]
    for place, tops, where in places:
        with warnings.instead_of_errors(f"the boot loader ({where or 'of the system'})"):
            if isinstance(place, IsoTree):
                loaders += [Loader("el-torito", firmware) for firmware in place.boots()]
            for top in tops:
                found = bootloader.efi(place, top, where)
                loaders += found[0]
                entries += found[1]
            entries += bootloader.entries(place, tops, where)
    return Boot(tuple(dict.fromkeys(loaders)), tuple(dict.fromkeys(entries)))


def _live(others: list[Volume], archive: Tree | None, tools: Tools, warnings: Warnings) -> Tree | None:
    """The system of a live disc or of an image for network boot: in a squashfs file."""
    for tree in (*(volume.tree for volume in others), archive):
        if tree is None:
            continue
        files = [(entry.size, path) for path, entry in tree.entries.items() if _is_live_root(path, entry.kind)]
        for _, path in sorted(files, reverse=True)[:1]:
            with warnings.instead_of_errors(path):
                return SquashfsTree(_extract(tree, path), tools)
    return None


def _is_live_root(path: str, kind: FileType) -> bool:
    return kind is FileType.FILE and path.endswith(_LIVE)


def _extract(tree: Tree, path: str) -> Extent:
    """The content of a file in an archive, on a disc or in a directory. Raises ToolError."""
    if isinstance(tree, ArchiveTree | DirectoryTree):
        return tree.extract(path)
    raise ToolError("it is in a file system, not in an archive or a directory")


def _system(tree: Tree, tools: Tools, warnings: Warnings) -> System:
    installed = None
    with warnings.instead_of_errors("the installed packages"):
        installed = packages.packages(tree, tools)
    users: tuple[accounts.User, ...] = ()
    with warnings.instead_of_errors("the users"):
        users = accounts.users(tree)
    release: dict[str, str] = {}
    with warnings.instead_of_errors("os-release"):
        release = system.os_release(tree)
    name = None
    with warnings.instead_of_errors("the host name"):
        name = system.hostname(tree)
    enabled = services.Services(None, (), ())
    with warnings.instead_of_errors("the services"):
        enabled = services.services(tree)
    return System(
        release,
        name,
        system.kernels(tree),
        installed,
        users,
        enabled,
        system.largest_directories(tree),
        tuple(sorted(path for path, entry in tree.entries.items() if entry.kind is FileType.DEVICE)),
    )
