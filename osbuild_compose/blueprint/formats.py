"""The formats of images, and what can be said of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Format(StrEnum):
    """What a finished image is: a disk, an archive of the files, a file system, or something with one of them in it."""

    QCOW2 = "qcow2"
    RAW = "raw"
    RAW_XZ = "raw.xz"
    RAW_ZST = "raw.zst"
    VDI = "vdi"
    VMDK = "vmdk"
    VPC = "vpc"
    VHDX = "vhdx"
    OVA = "ova"
    GCE = "gce"
    TAR = "tar"
    TAR_GZ = "tar.gz"
    TAR_XZ = "tar.xz"
    TAR_ZST = "tar.zst"
    WSL = "wsl"
    OCI_ARCHIVE = "oci-archive"
    CPIO = "cpio"
    CPIO_GZ = "cpio.gz"
    CPIO_XZ = "cpio.xz"
    CPIO_ZST = "cpio.zst"
    EXT4 = "ext4"
    XFS = "xfs"
    BTRFS = "btrfs"
    SQUASHFS = "squashfs"
    EROFS = "erofs"
    ISO = "iso"
    PXE = "pxe"

    @property
    def extension(self) -> str:
        """The end of the image's file name, with its dot."""
        return _EXTENSIONS.get(self, f".{self.value}")

    @property
    def is_disk(self) -> bool:
        """Whether the image is a disk that boots."""
        return self in _DISKS

    @property
    def is_live(self) -> bool:
        """Whether it is a system that runs without being installed."""
        return self in (Format.ISO, Format.PXE)

    @property
    def is_tar(self) -> bool:
        """Whether it is a plain archive of the files."""
        return self in _TARS

    @property
    def compression(self) -> str | None:
        """The program that compresses a plain archive; None for what is not compressed, and for what is none."""
        return _TARS.get(self)


_DISKS = {
    Format.QCOW2,
    Format.RAW,
    Format.RAW_XZ,
    Format.RAW_ZST,
    Format.VDI,
    Format.VMDK,
    Format.VPC,
    Format.VHDX,
    Format.OVA,
    Format.GCE,
}
_TARS = {Format.TAR: None, Format.TAR_GZ: "gzip", Format.TAR_XZ: "xz", Format.TAR_ZST: "zstd"}
_EXTENSIONS = {Format.VPC: ".vhd", Format.GCE: ".gce.tar.gz", Format.OCI_ARCHIVE: ".oci.tar", Format.PXE: ".pxe.tar"}

_WRITABLE: dict[str, tuple[str, ...]] = {"uuid": (), "label": (), "size": (), "free": ()}
_CONTAINER = ("tag", "cmd", "entrypoint", "env", "user", "working_dir", "exposed_ports", "volumes", "stop_signal")
# The options that a format has, with the values that are possible where not all are that the schema lets through.
OPTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    Format.QCOW2: {"compression": ("none", "zlib", "zstd")},
    Format.OVA: {"cpus": (), "memory": ()},
    Format.OCI_ARCHIVE: {
        "compression": ("none", "gzip", "zstd"),
        **dict.fromkeys((*_CONTAINER, "labels", "annotations"), ()),
    },
    Format.EXT4: _WRITABLE,
    Format.XFS: _WRITABLE,
    Format.BTRFS: _WRITABLE,
    Format.SQUASHFS: {"compression": ("gzip", "lzo", "lz4", "xz", "zstd")},
    Format.EROFS: {"uuid": (), "compression": ("lz4", "lz4hc")},
}
# Of what a disk's size must be a multiple, in bytes, if a format is wanted.
MULTIPLES: Mapping[str, int] = {Format.GCE: 1024**3, Format.VPC: 1024**2}
# How large a disk is at most, in bytes: https://learn.microsoft.com/azure/virtual-machines/linux/create-upload-generic
MOST: Mapping[str, int] = {Format.VPC: 2040 * 1024**3}
# Whose virtual machines see a disk of 512-byte sectors, whatever the image is.
SECTORS_OF_512 = (Format.VDI, Format.VMDK, Format.VPC, Format.VHDX, Format.OVA, Format.GCE)


@dataclass(frozen=True)
class Output:
    """A file to make: its format, and options that only this format has, by the assembler's names."""

    format: Format
    options: Mapping[str, Any] = field(default_factory=dict)
