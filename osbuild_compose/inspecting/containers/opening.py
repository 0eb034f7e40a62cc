"""From a file to what it holds: a disk, or files."""

from dataclasses import dataclass, replace
from pathlib import Path

from osbuild_compose.inspecting import detect
from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.containers import oci, virtual_disk
from osbuild_compose.inspecting.containers.oci import ContainerConfig
from osbuild_compose.inspecting.containers.unpack import decompress
from osbuild_compose.inspecting.tools import MissingToolError, ToolError, Tools
from osbuild_compose.inspecting.tree import Tree
from osbuild_compose.inspecting.trees.archive import ArchiveTree, cpio
from osbuild_compose.inspecting.trees.directory import DirectoryTree

_GCE = "disk.raw"  # what Compute Engine wants the disk in the archive to be called
_PXE = ("/boot.ipxe", "/filesystem.squashfs")


@dataclass(frozen=True)
class Opened:
    """What is in the image: a disk (or one file system), or a tree of files. format is as the blueprint calls it.

    virtual_size is that of the disk in bytes. missing is what kept us from getting at the rest.
    """

    format: str
    virtual_size: int | None = None
    disk: Area | None = None
    tree: Tree | None = None
    container: ContainerConfig | None = None
    missing: MissingToolError | None = None


def open_image(path: Path, tools: Tools) -> Opened:
    """What the file or directory holds. Raises ToolError if it is damaged, OSError if it cannot be read."""
    if path.is_dir():
        return Opened("directory", tree=DirectoryTree(path))
    area = Area.whole(path)
    program = detect.compression(area)
    if program is None:
        return _plain(area, tools)
    suffix = detect.SUFFIXES[program]
    try:
        opened = _plain(decompress(area, program, tools), tools)
    except MissingToolError as missing:
        return Opened(suffix, missing=missing)
    if opened.format == "tar" and path.suffix == ".wsl":
        return replace(opened, format="wsl")
    named = opened.format in ("gce", "ova", "oci-archive", "pxe")
    return opened if named else replace(opened, format=f"{opened.format}.{suffix}")


def _plain(area: Area, tools: Tools) -> Opened:
    """What is in a file that is not compressed."""
    opened = _disk(area, tools)
    if opened.format != "raw":
        return opened
    kind = detect.archive(area)
    if kind is None:
        return opened
    try:
        return Opened(kind, tree=cpio(area, tools)) if kind == "cpio" else _tar(ArchiveTree(area, tools), tools)
    except MissingToolError as missing:
        return Opened(kind, missing=missing)


def _disk(area: Area, tools: Tools) -> Opened:
    """A disk in the format of a virtual machine, or a raw one."""
    if detect.is_description(area):
        raise ToolError("it describes a disk that is in other files", "make one file of it: qemu-img convert -O qcow2")
    kind = detect.disk(area)
    if kind is None:
        return Opened("raw", area.size, area)
    try:
        size = virtual_disk.size(area, kind, tools)
        return Opened(kind, size, virtual_disk.as_raw(area, kind, tools))
    except MissingToolError as missing:
        return Opened(kind, missing=missing)


def _tar(archive: ArchiveTree, tools: Tools) -> Opened:
    """What is in an archive: files, or one of the things that are carried in archives."""
    names = archive.names("/")
    if names == [_GCE]:
        disk = archive.extract(f"/{_GCE}")
        return Opened("gce", disk.size, disk)
    if any(name.endswith(".ovf") for name in names):
        disks = [f"/{name}" for name in names if name.endswith(".vmdk")]
        inner = _disk(archive.extract(disks[0]), tools) if disks else Opened("ova")
        return replace(inner, format="ova")
    if oci.is_container(archive):
        try:
            tree, config = oci.read(archive, tools)
        except MissingToolError as missing:
            return Opened("oci-archive", missing=missing)
        return Opened("oci-archive", tree=tree, container=config)
    if all(archive.is_file(name) for name in _PXE):
        return Opened("pxe", tree=archive)
    return Opened("tar", tree=archive)
