"""Fedora's packages for UEFI, which the stand-in repository lacks: Debian's binaries under Fedora's names and paths.

All come from Debian sid, whose GRUB reads boot entries (blscfg). Its GRUB is put together here, as Fedora's looks for
its configuration in EFI/fedora, and so is not signed; shim and its helpers are.
"""

import subprocess
from pathlib import Path

import pytest

from osbuild_compose.distro.family import host_apt
from tests.integration.rpm.repository import Key, Package, RpmRepository
from tests.standin import made_once

DEBS = ("grub-efi-amd64-bin", "shim-helpers-amd64-signed", "shim-signed", "systemd-boot-efi")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MODULES = [
    "all_video",
    "blsuki",
    "boot",
    "cat",
    "configfile",
    "echo",
    "ext2",
    "fat",
    "font",
    "gfxterm",
    "halt",
    "iso9660",
    "linux",
    "loadenv",
    "ls",
    "minicmd",
    "normal",
    "part_gpt",
    "part_msdos",
    "reboot",
    "search",
    "search_fs_file",
    "search_fs_uuid",
    "search_label",
    "serial",
    "sleep",
    "test",
    "true",
]
# As on Fedora: what the EFI system partition cannot keep is not checked.
ON_ESP = "%attr(0700, root, root) %verify(not mtime)"
# fbx64.efi makes the firmware's menu from it: file, title, options, description.
CSV = "shimx64.efi,Fedora,,This is the boot entry for Fedora\n"


def made() -> Path:
    """The directory with the repository www/efi and the key that signed its packages, key.asc."""
    return made_once("efi", Path(__file__).read_bytes(), _make)


def _make(room: Path) -> None:
    room.mkdir()
    files = fetched(room)
    grub, csv, shim = room / "grubx64.efi", room / "csv", files / "usr/lib/shim"
    modules = files / "usr/lib/grub/x86_64-efi"
    argv = ["grub-mkimage", "-O", "x86_64-efi", "-d", modules, "-p", "/EFI/fedora", "-o", grub, *MODULES]
    subprocess.run(argv, check=True)
    csv.write_bytes(CSV.encode("utf-16"))
    efi, systemd = "/boot/efi/EFI", "/usr/lib/systemd/boot/efi"
    packages = (
        Package(
            "shim-x64",
            copies={
                f"{efi}/BOOT/BOOTX64.EFI": f"{shim}/shimx64.efi.signed",
                f"{efi}/BOOT/fbx64.efi": f"{shim}/fbx64.efi.signed",
                f"{efi}/fedora/BOOTX64.CSV": str(csv),
                f"{efi}/fedora/mmx64.efi": f"{shim}/mmx64.efi.signed",
                f"{efi}/fedora/shimx64.efi": f"{shim}/shimx64.efi.signed",
            },
            copied=ON_ESP,
        ),
        Package(
            "grub2-efi-x64",
            tags="Requires: grub2-common grub2-tools",
            # By the module its configuration sees that this is upstream's GRUB, whose blscfg wants to be told the path.
            copies={
                f"{efi}/fedora/grubx64.efi": str(grub),
                "/boot/grub2/x86_64-efi/blsuki.mod": f"{modules}/blsuki.mod",
            },
            copied=ON_ESP,
        ),
        Package(
            "systemd-boot-unsigned",
            copies={f"{systemd}/{path.name}": str(path) for path in sorted((files / systemd[1:]).iterdir())},
        ),
    )
    repository, key = RpmRepository(room / "www/efi", core=()), Key(room / "key")
    for package in packages:
        built = package.build(room / package.name)
        key.sign(built)
        built.rename(repository.root / built.name)
    repository.publish()
    (room / "key.asc").write_text(key.armoured)


def fetched(room: Path) -> Path:
    """A directory with the files of all DEBS, from the mirror of this machine's apt."""
    mirror = host_apt.read(["bookworm", "trixie"], "debian-archive").main
    if mirror is None:
        pytest.skip("this machine's apt has no mirror of Debian")
    (room / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} sid main\n")
    places = {
        "Dir::Etc::SourceList": "sources.list",
        "Dir::Etc::SourceParts": "none",
        "Dir::State::Lists": "lists",
        "Dir::Cache": "cache",
    }
    argv = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]
    argv += [word for name, place in places.items() for word in ("-o", f"{name}={room / place}")]
    for directory in ("debs", "lists/partial", "cache/archives/partial"):
        (room / directory).mkdir(parents=True)
    for command in (["update"], ["download", *DEBS]):
        subprocess.run([*argv, *command], cwd=room / "debs", check=True)
    for deb in (room / "debs").glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, room / "files"], check=True)
    return room / "files"
