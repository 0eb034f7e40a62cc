"""Opening an image: getting at the disk or the files in it."""

from dataclasses import dataclass, replace
from pathlib import Path

from osbuild_compose.inspecting import container_image, formats
from osbuild_compose.inspecting.container_image import ContainerConfig
from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.formats import decompress
from osbuild_compose.inspecting.tools import MissingToolError, ToolError, Tools
from osbuild_compose.inspecting.tree import Tree
from osbuild_compose.inspecting.trees.archive import ArchiveTree, cpio
from osbuild_compose.inspecting.trees.directory import DirectoryTree

_GCE = "disk.raw"  # the name that Google Compute Engine requires of the disk in the archive
_PXE = ("/boot.ipxe", "/filesystem.squashfs")


@dataclass(frozen=True)
class OpenedImage:
    """The content of an image: a disk (or a single file system), or a tree of files. format is as in a blueprint.

    virtual_size is the disk's size in bytes. missing is the program that was needed to open the image further.
    """

    format: str
    virtual_size: int | None = None
    disk: Extent | None = None
    tree: Tree | None = None
    container: ContainerConfig | None = None
    missing: MissingToolError | None = None


def open_image(path: Path, tools: Tools) -> OpenedImage:
    """Open an image, or the directory of a tree. Raises ToolError if it is damaged, OSError if it cannot be read."""
    if path.is_dir():
        return OpenedImage("directory", tree=DirectoryTree(path))
    extent = Extent.whole(path)
    program = formats.compression(extent)
    if program is None:
        return _plain(extent, tools)
    suffix = formats.SUFFIXES[program]
    try:
        opened = _plain(decompress(extent, program, tools), tools)
    except MissingToolError as missing:
        return OpenedImage(suffix, missing=missing)
    if opened.format == "tar" and path.suffix == ".wsl":
        return replace(opened, format="wsl")
    named = opened.format in ("gce", "ova", "oci-archive", "pxe")
    return opened if named else replace(opened, format=f"{opened.format}.{suffix}")


def _plain(extent: Extent, tools: Tools) -> OpenedImage:
    """Open a file that is not compressed."""
    opened = _disk(extent, tools)
    if opened.format != "raw":
        return opened
    kind = formats.archive_format(extent)
    if kind is None:
        return opened
    try:
        return (
            OpenedImage(kind, tree=cpio(extent, tools)) if kind == "cpio" else _tar(ArchiveTree(extent, tools), tools)
        )
    except MissingToolError as missing:
        return OpenedImage(kind, missing=missing)


def _disk(extent: Extent, tools: Tools) -> OpenedImage:
    """Open a virtual or raw disk."""
    if formats.is_disk_descriptor(extent):
        raise ToolError("it describes a disk that is in other files", "merge them: qemu-img convert -O qcow2")
    kind = formats.disk_format(extent)
    if kind is None:
        return OpenedImage("raw", extent.size, extent)
    try:
        size = formats.disk_size(extent, kind, tools)
        return OpenedImage(kind, size, formats.as_raw(extent, kind, tools))
    except MissingToolError as missing:
        return OpenedImage(kind, missing=missing)


def _tar(archive: ArchiveTree, tools: Tools) -> OpenedImage:
    """Open a tar archive, which may hold a disk, an appliance, a container image, or just files."""
    names = archive.names("/")
    if names == [_GCE]:
        disk = archive.extract(f"/{_GCE}")
        return OpenedImage("gce", disk.size, disk)
    if any(name.endswith(".ovf") for name in names):
        disks = [f"/{name}" for name in names if name.endswith(".vmdk")]
        inner = _disk(archive.extract(disks[0]), tools) if disks else OpenedImage("ova")
        return replace(inner, format="ova")
    if container_image.is_container(archive):
        try:
            tree, config = container_image.read(archive, tools)
        except MissingToolError as missing:
            return OpenedImage("oci-archive", missing=missing)
        return OpenedImage("oci-archive", tree=tree, container=config)
    if all(archive.is_file(name) for name in _PXE):
        return OpenedImage("pxe", tree=archive)
    return OpenedImage("tar", tree=archive)
