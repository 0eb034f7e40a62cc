"""The programs that builds run, as one table: their packages, and what cannot be done without them."""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runner.errors import RunnerError, environment_error

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # where programs of the system are; nobody else may add some there
Names = str | Mapping[str, str]  # a package's name, or its names by package families, "deb" and "rpm"


class Family(StrEnum):
    """A family of package managers; OTHER is one whose packages' names are not known here."""

    DEB = "deb"
    RPM = "rpm"
    OTHER = "other"


@dataclass(frozen=True)
class Package:
    """A package's names in Debian's family and in Fedora's."""

    deb: str
    rpm: str

    @classmethod
    def of(cls, names: Names) -> "Package":
        """The package of that name, or of these names by family, as a meta.json has them."""
        return cls(names, names) if isinstance(names, str) else cls(names.get("deb", ""), names.get("rpm", ""))


@dataclass(frozen=True)
class Tool:
    """A program: its package, what is not possible or slower without it, and the argument that prints its version.

    name may have alternatives, separated by |, of which one is enough. needed: nothing can be built without it. option
    is empty for a program that prints no version.
    """

    name: str
    package: Package
    cost: str
    option: str = "--version"
    needed: bool = False


NO_BUILDS = "builds are not possible"
NO_DISKS = "no images of disks, such as qcow2"

_UTIL_LINUX = Package("util-linux", "util-linux")
_APT = "no images of Debian, Ubuntu and the like"
_DNF = "no images of Fedora, CentOS Stream and the like"

TOOLS = (
    Tool("bwrap", Package("bubblewrap", "bubblewrap"), NO_BUILDS, needed=True),
    Tool("setpriv", _UTIL_LINUX, NO_BUILDS, needed=True),
    Tool("prlimit", _UTIL_LINUX, NO_BUILDS, needed=True),
    Tool("unshare", _UTIL_LINUX, NO_BUILDS, needed=True),
    Tool("python3", Package("python3", "python3"), NO_BUILDS, needed=True),
    Tool("tar", Package("tar", "tar"), NO_BUILDS, needed=True),
    Tool("zstd", Package("zstd", "zstd"), NO_BUILDS, needed=True),
    Tool(
        "curl",
        Package("curl", "curl"),
        "no downloads of files and packages that are named by their address",
    ),
    Tool("skopeo", Package("skopeo", "skopeo"), "no container images in images"),
    Tool("gpg", Package("gpg", "gnupg2"), "no repositories whose key is named by its fingerprint"),
    Tool("apt-get", Package("apt", "apt"), _APT),
    Tool("dpkg", Package("dpkg", "dpkg"), _APT),
    Tool("gpgv", Package("gpgv", "gnupg2"), _APT),
    Tool("dnf|dnf5|dnf-3", Package("dnf", "dnf"), _DNF),
    Tool("rpm", Package("rpm", "rpm"), _DNF),
    Tool("mke2fs", Package("e2fsprogs", "e2fsprogs"), NO_DISKS, "-V"),
    Tool("debugfs", Package("e2fsprogs", "e2fsprogs"), NO_DISKS, "-V"),
    Tool("mkfs.fat", Package("dosfstools", "dosfstools"), NO_DISKS, ""),
    Tool("mcopy", Package("mtools", "mtools"), NO_DISKS),
    Tool("qemu-img", Package("qemu-utils", "qemu-img"), NO_DISKS),
    Tool("grub-mkimage|grub2-mkimage", Package("grub-common", "grub2-tools"), NO_DISKS),
    Tool("mkfs.xfs", Package("xfsprogs", "xfsprogs"), "no xfs file systems", "-V"),
    Tool("mkfs.btrfs", Package("btrfs-progs", "btrfs-progs"), "no btrfs file systems"),
    Tool("mkfs.erofs", Package("erofs-utils", "erofs-utils"), "no erofs file systems", ""),
    Tool("mksquashfs", Package("squashfs-tools", "squashfs-tools"), "no squashfs images and live systems", "-version"),
    Tool("xorriso", Package("xorriso", "xorriso"), "no iso images", "-version"),
    Tool("cryptsetup", Package("cryptsetup-bin", "cryptsetup"), "no encrypted disks"),
    Tool("veritysetup", Package("cryptsetup-bin", "veritysetup"), "no disks protected by dm-verity"),
    Tool("mkswap", _UTIL_LINUX, "no swap partitions and swap files"),
    Tool("xz", Package("xz-utils", "xz"), "no formats that end in .xz"),
    Tool("cpio", Package("cpio", "cpio"), "no cpio archives"),
    Tool("pigz", Package("pigz", "pigz"), "no formats that end in .gz"),
    Tool("bsdtar", Package("libarchive-tools", "bsdtar"), "`compose inspect` does not show what is in an iso image"),
)

# What only an ordinary user's builds need: root writes the maps of its namespaces itself.
ID_TOOLS = ("newuidmap", "newgidmap")
ID_PACKAGE = Package("uidmap", "shadow-utils")

_BY_NAME = {tool.name: tool for tool in TOOLS}


def find(names: str) -> str | None:
    """The path of a program on this machine, or of one of its alternatives with | between; None if there is none."""
    return next(filter(None, (shutil.which(name, path=PATH) for name in names.split("|"))), None)


def package(name: str) -> Package:
    """The package of a program in the table."""
    return _BY_NAME[name].package


def missing(name: str, what: str) -> RunnerError:
    """The error for a program of the table that is not on this machine; what says what it does."""
    return environment_error(f"missing on this machine: {name}, which {what}", hint=install([package(name)]))


def family(os_release: str) -> Family:
    """The family of a system, from the text of its os-release(5)."""
    fields = _fields(os_release)
    words = {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()}
    if words & {"debian", "ubuntu"}:
        return Family.DEB
    return Family.RPM if words & {"fedora", "rhel", "centos"} else Family.OTHER


def system_name(os_release: str) -> str:
    """What a system calls itself, from the text of its os-release(5)."""
    fields = _fields(os_release)
    return fields.get("PRETTY_NAME") or fields.get("NAME") or "Linux"


def _fields(os_release: str) -> dict[str, str]:
    lines = re.findall(r"^(\w+)=(.*)$", os_release, re.MULTILINE)
    return {name: value.strip().strip("\"'") for name, value in lines}


def os_release() -> str:
    """This machine's os-release(5); empty if it has none."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        try:
            return path.read_text(errors="replace")
        except OSError:
            continue
    return ""


def install(packages: Iterable[Package], on: Family | None = None) -> str:
    """The command that installs packages, on this machine or on a system of the family; both where that is unknown."""
    wanted = list(packages)
    of = on or family(os_release())
    apt = f"apt install {' '.join(sorted({one.deb for one in wanted if one.deb}))}"
    dnf = f"dnf install {' '.join(sorted({one.rpm for one in wanted if one.rpm}))}"
    return {Family.DEB: apt, Family.RPM: dnf}.get(of, f"{apt} (Debian) or {dnf} (Fedora)")
