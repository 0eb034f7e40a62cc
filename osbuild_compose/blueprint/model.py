"""The model of a blueprint: dataclasses whose fields are the keys in docs/reference/blueprint.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.network import Network
from osbuild_compose.blueprint.overlay import Overlay
from osbuild_compose.blueprint.values.debconf import Answer
from osbuild_compose.disk.model import Disk
from osbuild_compose.distro.repository import Repository
from osbuild_compose.document.reader import Document
from osbuild_compose.problem import Problem

Account = str | int  # a user or group, by name or id

# Values of `build_environment.from` other than releases: this machine's programs, and the image's own release.
HOST = "host"
OWN = "own"


def normal_path(path: str) -> str:
    """The absolute path without empty parts and single dots, which is the form that stages want."""
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


@dataclass(frozen=True)
class User:
    """A user account; None stands for the distribution's default."""

    name: str
    description: str | None = None
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] = ()
    home: str | None = None
    shell: str | None = None
    password: str | None = None  # a hash of crypt(5), or ! or *
    ssh_keys: tuple[str, ...] = ()
    sudo: bool | str = False  # "nopasswd": without asking for the password
    expiredate: int | None = None  # days since 1970-01-01, -1 for never
    force_password_reset: bool = False


@dataclass(frozen=True)
class Group:
    """A group; gid None stands for the next free number."""

    name: str
    gid: int | None = None


@dataclass(frozen=True)
class Services:
    """Units to enable, disable or mask, and the target to boot into."""

    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()
    default_target: str | None = None


class Selinux(StrEnum):
    """The mode of SELinux at boot."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


@dataclass(frozen=True)
class FirewallServices:
    """Services, by firewalld's names: to allow, and to block although the distribution allows them."""

    enabled: tuple[str, ...] = ()
    disabled: tuple[str, ...] = ()


@dataclass(frozen=True)
class FirewallZone:
    """A zone of the firewall; sources are the addresses, networks, MAC addresses and ipsets ("ipset:name") in it."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class FirewallIpset:
    """A list of addresses and networks of IPv4, or of IPv6, or of MAC addresses."""

    name: str
    entries: tuple[str, ...]


@dataclass(frozen=True)
class Firewall:
    """What the firewall allows in; ports are "80:tcp" or "6000-6010:udp"."""

    ports: tuple[str, ...] = ()
    services: FirewallServices = FirewallServices()
    zones: tuple[FirewallZone, ...] = ()
    ipsets: tuple[FirewallIpset, ...] = ()


@dataclass(frozen=True)
class File:
    """A file with exactly one of: text, base64 of binary content, a URL with a digest."""

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
    """A directory.

    None leaves what is there as it is; a directory that is made gets the mode 0755 and belongs to root.
    """

    path: str
    mode: str | None = None
    owner: Account | None = None
    group: Account | None = None


@dataclass(frozen=True)
class Symlink:
    """A symbolic link at `path`."""

    path: str
    target: str


@dataclass(frozen=True)
class Repositories:
    """Where packages come from. default: from the distribution's archive; own: repositories of the blueprint."""

    default: bool = True
    own: tuple[Repository, ...] = ()


@dataclass(frozen=True)
class Kernel:
    """The kernel package (None for the distribution's default), and what to append to its command line."""

    package: str | None = None
    append: str = ""


@dataclass(frozen=True)
class PackageFile:
    """A package file to install: its URL (file:// for one of this machine) and its sha256 in hexadecimal digits."""

    url: str
    sha256: str

    @property
    def checksum(self) -> str:
        """The digest as stages name it."""
        return f"sha256:{self.sha256}"


@dataclass(frozen=True)
class Module:
    """A stream of a package module."""

    name: str
    stream: str


@dataclass(frozen=True)
class BuildEnvironment:
    """The release whose programs build the image, and further packages to install from it."""

    distro: str
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Modprobe:
    """Kernel modules: not to load automatically, their parameters, and to load at boot."""

    blacklist: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    load: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedFile:
    """A file whose directory follows from its kind: udev rules, a drop-in of a unit."""

    name: str
    content: str


@dataclass(frozen=True)
class Unit:
    """A systemd unit; content is None for one that a package brings."""

    name: str
    content: str | None = None
    dropins: tuple[NamedFile, ...] = ()


@dataclass(frozen=True)
class Sshd:
    """The SSH server's options; None and () stand for the distribution's defaults."""

    port: tuple[int, ...] = ()
    password_authentication: bool | None = None
    kbd_interactive_authentication: bool | None = None
    permit_root_login: bool | str | None = None
    client_alive_interval: int | None = None  # seconds
    client_alive_count_max: int | None = None
    max_auth_tries: int | None = None
    allow_users: tuple[str, ...] = ()
    allow_groups: tuple[str, ...] = ()
    x11_forwarding: bool | None = None
    allow_tcp_forwarding: bool | None = None


@dataclass(frozen=True)
class Timer:
    """A command that systemd runs on a schedule: a calendar event of systemd.time(7)."""

    name: str
    schedule: str
    command: str
    user: str = "root"
    description: str | None = None
    persistent: bool = True


@dataclass(frozen=True)
class CronJob:
    """A command that cron runs on a schedule: five fields of crontab(5), or @daily and the like."""

    name: str
    schedule: str
    command: str
    user: str = "root"


@dataclass(frozen=True)
class Script:
    """A script to run in the finished tree; network: it reaches the network, so its result may differ each time."""

    content: str
    network: bool = False


@dataclass(frozen=True)
class FirstBootScript:
    """A script to run once, when the machine boots for the first time."""

    name: str
    content: str
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    wait_for_network: bool = False
    ignore_failure: bool = False


@dataclass(frozen=True)
class Initramfs:
    """What to add to the initramfs, and its compression."""

    drivers: tuple[str, ...] = ()
    dracut_modules: tuple[str, ...] = ()
    compression: str | None = None


@dataclass(frozen=True)
class Container:
    """A container image: its name, and the URL of its archive or its name in a registry ("host/name").

    sha256 is the digest of the archive, or of the registry's image, in hexadecimal digits.
    """

    name: str
    sha256: str
    url: str = ""
    image: str = ""
    tls_verify: bool = True


@dataclass(frozen=True)
class Blueprint:
    """One image."""

    name: str
    distro: str
    description: str | None = None
    version: str | None = None
    arch: str = "x86_64"
    packages: tuple[str, ...] = ()
    package_files: tuple[PackageFile, ...] = ()
    exclude: tuple[str, ...] = ()
    recommends: bool = False
    debconf: tuple[Answer, ...] = ()
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
    network: Network | None = None
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
    overlays: tuple[Overlay, ...] = ()
    symlinks: tuple[Symlink, ...] = ()
    containers: tuple[Container, ...] = ()
    scripts: tuple[Script, ...] = ()
    first_boot: tuple[FirstBootScript, ...] = ()
    kernel: Kernel = Kernel()
    disk: Disk = field(default_factory=Disk)
    formats: tuple[Output, ...] = (Output(Format.QCOW2),)
    build_environment: BuildEnvironment | None = None  # None: this machine's programs
    embed_provenance: bool = True
    document: Document | None = field(default=None, repr=False, compare=False)  # for the locations of later errors
    warnings: tuple[Problem, ...] = field(default=(), repr=False, compare=False)
