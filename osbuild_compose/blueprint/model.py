"""A blueprint once it is known to be right: what the image is to be, without a trace of YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from osbuild_compose.blueprint.config_files import (
    Container,
    CronJob,
    FirstBootScript,
    Initramfs,
    Modprobe,
    NamedFile,
    Sshd,
    Timer,
    Unit,
)
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.disk.model import Disk
from osbuild_compose.distro.repository import Repository
from osbuild_compose.document.reader import Document
from osbuild_compose.errors import InputError

Account = str | int  # a user or group, by name or number

# Where programs that build come from, besides releases.
HOST = "host"
OWN = "own"


@dataclass(frozen=True)
class User:
    """A user account; None leaves a thing to the distribution's default."""

    name: str
    description: str | None = None
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] = ()
    home: str | None = None
    shell: str | None = None
    password: str | None = None  # a hash of crypt(5), or ! or *
    ssh_keys: tuple[str, ...] = ()
    sudo: bool | str = False  # "nopasswd": without being asked for the password
    expiredate: int | None = None  # days since 1970-01-01, -1 for never
    force_password_reset: bool = False


@dataclass(frozen=True)
class Group:
    """A group; gid None takes the next free number."""

    name: str
    gid: int | None = None


@dataclass(frozen=True)
class Services:
    """Units by what becomes of them at boot."""

    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    default_target: str | None = None


class Selinux(StrEnum):
    """What SELinux does at boot."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


@dataclass(frozen=True)
class FirewallServices:
    """Services by firewalld's names: let through, and shut that the distribution lets through."""

    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


@dataclass(frozen=True)
class FirewallZone:
    """A zone of the firewall; sources are the addresses and networks in it."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Firewall:
    """What the firewall lets in. ports are "80:tcp" or "6000-6010:udp"."""

    ports: tuple[str, ...] = ()
    services: FirewallServices = FirewallServices()
    zones: tuple[FirewallZone, ...] = ()


@dataclass(frozen=True)
class File:
    """A file with exactly one of: text, base64 of bytes that are no text, an address with a digest."""

    path: str
    content: str | None = None
    base64: str | None = None
    url: str | None = None
    sha256: str | None = None
    mode: str = "0644"
    owner: Account = "root"
    group: Account = "root"


@dataclass(frozen=True)
class Directory:
    """A directory."""

    path: str
    mode: str = "0755"
    owner: Account = "root"
    group: Account = "root"


@dataclass(frozen=True)
class Symlink:
    """A symbolic link at `path`."""

    path: str
    target: str


@dataclass(frozen=True)
class Repositories:
    """Where packages come from. `default`: the distribution's archive; `own`: those the blueprint names."""

    default: bool = True
    own: tuple[Repository, ...] = ()


@dataclass(frozen=True)
class Kernel:
    """The kernel package, None for the distribution's usual one, and what to add to its command line."""

    package: str | None = None
    append: str = ""


@dataclass(frozen=True)
class Module:
    """A stream of a module of packages."""

    name: str
    stream: str


@dataclass(frozen=True)
class BuildEnvironment:
    """The release whose programs make the image, and what else to install of it."""

    distro: str
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blueprint:
    """One image. Its fields are the blueprint's keys; docs/reference/blueprint.md describes them."""

    name: str
    distro: str
    description: str | None = None
    version: str | None = None
    arch: str = "x86_64"
    packages: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    enabled_modules: tuple[Module, ...] = ()
    repositories: Repositories = Repositories()
    hostname: str | None = None
    timezone: str | None = None
    timeservers: tuple[str, ...] = ()
    locale: str | None = None
    languages: tuple[str, ...] = ()
    keyboard: str | None = None
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    services: Services = Services()
    units: tuple[Unit, ...] = ()
    timers: tuple[Timer, ...] = ()
    cron: tuple[CronJob, ...] = ()
    firewall: Firewall | None = None
    selinux: Selinux | None = None
    fips: bool = False
    sysctl: Mapping[str, str | int] = field(default_factory=dict)
    modprobe: Modprobe = field(default_factory=Modprobe)
    udev_rules: tuple[NamedFile, ...] = ()
    tmpfiles: tuple[str, ...] = ()
    sshd: Sshd | None = None
    cacerts: tuple[str, ...] = ()  # PEM texts of one certificate each
    cloud_init: Mapping[str, Any] | None = None
    initramfs: Initramfs | None = None
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    symlinks: tuple[Symlink, ...] = ()
    containers: tuple[Container, ...] = ()
    scripts: tuple[str, ...] = ()
    first_boot: tuple[FirstBootScript, ...] = ()
    kernel: Kernel = Kernel()
    disk: Disk = field(default_factory=Disk)
    formats: tuple[Output, ...] = (Output(Format.QCOW2),)
    build_environment: BuildEnvironment | None = None  # None: this machine's programs
    embed_provenance: bool = True
    document: Document | None = field(default=None, repr=False, compare=False)  # to point at places in later errors
    doubts: tuple[InputError, ...] = field(default=(), repr=False, compare=False)  # told, and built all the same
