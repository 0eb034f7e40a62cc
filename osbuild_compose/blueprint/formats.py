"""The formats of images: one line each, with their traits and options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Any

from osbuild_compose.document.node import Trail


class ImageKind(Enum):
    """What a format contains."""

    DISK = auto()  # a disk that boots
    TAR = auto()  # a plain archive of the files
    CONTAINER = auto()  # the files as a container or for another system's kernel
    FILE_SYSTEM = auto()  # one file system with the files
    LIVE = auto()  # a system that runs without being installed


class Contents(StrEnum):
    """What an image has the files of."""

    MACHINE = "machine"  # a system that boots, with a kernel of its own
    CONTAINER = "container"  # programs that run on another system's kernel


# A format's options: by name, the possible values, or () if every value that the schema accepts is possible.
Options = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Traits:
    """What holds for a format.

    extension: the end of the file name, with its dot, if it is not the format's name. compression: the program that
    compresses a plain archive. size_multiple, max_size: what a disk's size has to be a multiple of, and its limit, in
    bytes. only_512_byte_sectors: the virtual machines that it is for read no disks with other sectors. for_hardware:
    whether it is started on any machine, or on virtual ones that imitate common hardware as VMware and VirtualBox do
    (SATA, LSI Logic, e1000), so that its kernel needs more drivers than those for clouds.
    contents: what it has the files of, unless the blueprint says otherwise.
    """

    kind: ImageKind
    extension: str = ""
    compression: str | None = None
    options: Options = field(default_factory=dict)
    size_multiple: int = 0
    max_size: int = 0
    only_512_byte_sectors: bool = False
    for_hardware: bool = False
    contents: Contents = Contents.MACHINE


INITS = (
    "/sbin/init",
    "/usr/sbin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
)  # programs that start others

_MIB, _GIB = 1024**2, 1024**3
_WRITABLE: Options = dict.fromkeys(("uuid", "label", "size", "free"), ())
_OCI: Options = {
    "compression": ("none", "gzip", "zstd"),
    **dict.fromkeys(("tag", "cmd", "entrypoint", "env", "user", "working_dir", "exposed_ports", "volumes"), ()),
    **dict.fromkeys(("stop_signal", "labels", "annotations"), ()),
}
# https://learn.microsoft.com/azure/virtual-machines/linux/create-upload-generic
_AZURE_MOST = 2040 * _GIB


_PLAIN_DISK = Traits(ImageKind.DISK)


class Format(StrEnum):
    """A format of images, by its name in blueprints."""

    traits: Traits

    def __new__(cls, value: str, traits: Traits = _PLAIN_DISK) -> "Format":
        """The member that is called `value`."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.traits = traits
        return member

    QCOW2 = "qcow2", Traits(ImageKind.DISK, options={"compression": ("none", "zlib", "zstd")})
    RAW = "raw", Traits(ImageKind.DISK, for_hardware=True)
    RAW_XZ = "raw.xz", Traits(ImageKind.DISK, for_hardware=True)
    RAW_ZST = "raw.zst", Traits(ImageKind.DISK, for_hardware=True)
    VDI = "vdi", Traits(ImageKind.DISK, only_512_byte_sectors=True, for_hardware=True)
    VMDK = "vmdk", Traits(ImageKind.DISK, only_512_byte_sectors=True, for_hardware=True)
    VPC = "vpc", Traits(ImageKind.DISK, ".vhd", size_multiple=_MIB, max_size=_AZURE_MOST, only_512_byte_sectors=True)
    VHDX = "vhdx", Traits(ImageKind.DISK, only_512_byte_sectors=True)
    OVA = (
        "ova",
        Traits(ImageKind.DISK, options={"cpus": (), "memory": ()}, only_512_byte_sectors=True, for_hardware=True),
    )
    GCE = "gce", Traits(ImageKind.DISK, ".gce.tar.gz", size_multiple=_GIB, only_512_byte_sectors=True)
    TAR = "tar", Traits(ImageKind.TAR, contents=Contents.CONTAINER)
    TAR_GZ = "tar.gz", Traits(ImageKind.TAR, compression="gzip", contents=Contents.CONTAINER)
    TAR_XZ = "tar.xz", Traits(ImageKind.TAR, compression="xz", contents=Contents.CONTAINER)
    TAR_ZST = "tar.zst", Traits(ImageKind.TAR, compression="zstd", contents=Contents.CONTAINER)
    WSL = "wsl", Traits(ImageKind.CONTAINER, contents=Contents.CONTAINER)
    OCI_ARCHIVE = "oci-archive", Traits(ImageKind.CONTAINER, ".oci.tar", options=_OCI, contents=Contents.CONTAINER)
    CPIO = "cpio", Traits(ImageKind.CONTAINER)
    CPIO_GZ = "cpio.gz", Traits(ImageKind.CONTAINER)
    CPIO_XZ = "cpio.xz", Traits(ImageKind.CONTAINER)
    CPIO_ZST = "cpio.zst", Traits(ImageKind.CONTAINER)
    EXT4 = "ext4", Traits(ImageKind.FILE_SYSTEM, options=_WRITABLE)
    XFS = "xfs", Traits(ImageKind.FILE_SYSTEM, options=_WRITABLE)
    BTRFS = "btrfs", Traits(ImageKind.FILE_SYSTEM, options=_WRITABLE)
    SQUASHFS = "squashfs", Traits(ImageKind.FILE_SYSTEM, options={"compression": ("gzip", "lzo", "lz4", "xz", "zstd")})
    EROFS = "erofs", Traits(ImageKind.FILE_SYSTEM, options={"uuid": (), "compression": ("lz4", "lz4hc")})
    ISO = "iso", Traits(ImageKind.LIVE, for_hardware=True)
    PXE = "pxe", Traits(ImageKind.LIVE, ".pxe.tar", for_hardware=True)

    @property
    def extension(self) -> str:
        """The end of the image's file name, with its dot."""
        return self.traits.extension or f".{self.value}"

    @property
    def is_disk(self) -> bool:
        """Whether the image is a disk that boots."""
        return self.traits.kind is ImageKind.DISK

    @property
    def is_live(self) -> bool:
        """Whether it is a system that runs without being installed."""
        return self.traits.kind is ImageKind.LIVE

    @property
    def has_choice(self) -> bool:
        """Whether a blueprint may say what it has the files of: disks and live systems are of machines."""
        return not (self.is_disk or self.is_live)

    @property
    def is_tar(self) -> bool:
        """Whether it is a plain archive of the files."""
        return self.traits.kind is ImageKind.TAR


@dataclass(frozen=True)
class Output:
    """A file to make: its format, and options that only this format has, by the assembler's names.

    chosen: what it has the files of, if the blueprint says so. `trail` leads to it in the blueprint.
    """

    format: Format
    options: Mapping[str, Any] = field(default_factory=dict)
    chosen: Contents | None = None
    trail: Trail = field(default=(), repr=False, compare=False)

    @property
    def contents(self) -> Contents:
        """What it has the files of."""
        return self.chosen or self.format.traits.contents

    @property
    def runs_one_program(self) -> bool:
        """Whether it says which program a container runs, and that is none that starts services."""
        given = [self.options[key] for key in ("entrypoint", "cmd") if key in self.options]
        program = [word for words in given if isinstance(words, list) for word in words]
        return bool(program) and program[0] not in INITS
