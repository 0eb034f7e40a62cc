"""The report of an inspection. Sizes and offsets are in bytes; None means that the image does not say."""

from dataclasses import dataclass

from osbuild_compose.inspecting.analysis.accounts import User
from osbuild_compose.inspecting.analysis.bootloader import KernelEntry, Loader
from osbuild_compose.inspecting.analysis.packages import Packages
from osbuild_compose.inspecting.analysis.services import Services
from osbuild_compose.inspecting.analysis.system import Kernel, Provenance, Usage
from osbuild_compose.inspecting.container_image import ContainerConfig
from osbuild_compose.inspecting.partitions import PartitionTable


@dataclass(frozen=True)
class ImageFile:
    """The image file. size is its length, virtual_size the size of the disk in it."""

    path: str
    format: str
    size: int | None
    virtual_size: int | None


@dataclass(frozen=True)
class MountedFileSystem:
    """A file system. partition is None if it fills the whole disk; mount_point is that of the system's fstab.

    volume is the name of its logical volume, "group/name".
    """

    partition: int | None
    volume: str | None
    type: str
    uuid: str | None
    label: str | None
    size: int | None
    used: int | None
    mount_point: str | None


@dataclass(frozen=True)
class Boot:
    """How the image boots."""

    loaders: tuple[Loader, ...]
    entries: tuple[KernelEntry, ...]


@dataclass(frozen=True)
class System:
    """The operating system."""

    os_release: dict[str, str]
    hostname: str | None
    kernels: tuple[Kernel, ...]
    packages: Packages | None
    users: tuple[User, ...]
    services: Services
    largest_directories: tuple[Usage, ...]
    device_nodes: tuple[str, ...]


@dataclass(frozen=True)
class InspectionWarning:
    """Something that could not be read, and what to do about it; hint is empty if nothing can be done."""

    message: str
    hint: str


@dataclass(frozen=True)
class Report:
    """The whole report."""

    image: ImageFile
    container: ContainerConfig | None
    partition_table: PartitionTable | None
    file_systems: tuple[MountedFileSystem, ...]
    boot: Boot
    system: System | None
    provenance: Provenance | None
    warnings: tuple[InspectionWarning, ...]
