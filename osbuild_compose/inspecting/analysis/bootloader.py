"""Boot loaders and the entries of their menus."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from osbuild_compose.inspecting.analysis.fields import shell_fields
from osbuild_compose.inspecting.tree import Tree

_MAX_PROGRAM = 256 * 1024**2
_MAX_MENU = 4 * 1024**2
_MAX_ENTRIES = 1000
_MAX_PROGRAMS = 100
_MAX_ENTRY = 64 * 1024  # bytes of a file with a single entry
_MAX_SECTION = 64 * 1024  # bytes of a text section of a program
_TEXT_SECTIONS = (".sbat", ".sdmagic", ".cmdline", ".osrel", ".uname")
_SIGNATURE = 4  # the index of IMAGE_DIRECTORY_ENTRY_SECURITY among the data directories
_MAX_VARIABLES = 20  # in a line: each may be as long as GRUB's environment block
# The last two are on a separate partition for /boot.
_GRUB_MENUS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/grub/grub.cfg", "/grub2/grub.cfg")
_ENTRIES = "loader/entries"  # Boot Loader Specification, type 1
# Words in the code of a disk's first sector, mostly of error messages, and the boot loader that it belongs to.
_SECTORS = ((b"GRUB \0", "grub"), (b"isolinux.bin", "isolinux"), (b"SYSLINUX", "syslinux"))


@dataclass(frozen=True)
class Loader:
    """A boot loader. type is "grub", "shim", "systemd-boot", "uki", …; firmware "bios" or "uefi".

    path is None for one in a disk's first sector; signed is whether it has a signature for Secure Boot.
    """

    type: str
    firmware: str
    path: str | None = None
    version: str | None = None
    signed: bool | None = None


@dataclass(frozen=True)
class KernelEntry:
    """An entry of a boot menu. source is the file that has the entry."""

    title: str
    kernel: str | None
    initramfs: tuple[str, ...]
    options: str
    source: str


@dataclass(frozen=True)
class EfiProgram:
    """A UEFI program. type is "shim", "grub", "systemd-boot", "uki" or "other"; version is what it claims to be.

    texts are its text sections by their names.
    """

    type: str
    version: str | None
    signed: bool
    texts: Mapping[str, str]


def in_first_sector(sector: bytes) -> Loader | None:
    """The boot loader that a BIOS starts from a disk's first sector; None if it is not known."""
    kind = next((name for mark, name in _SECTORS if mark in sector[:440]), None)
    return Loader(kind, "bios") if kind else None


def efi(tree: Tree, top: str, where: str = "") -> tuple[list[Loader], list[KernelEntry]]:
    """UEFI programs below `top`/EFI, and an entry for each unified kernel image. where precedes their paths."""
    loaders, entries = [], []
    for path in islice(_efi_files(tree, top), _MAX_PROGRAMS):
        found = efi_program(tree.read(path, _MAX_PROGRAM) or b"")
        if found is None:
            continue
        loaders.append(Loader(found.type, "uefi", where + path, found.version, found.signed))
        if found.type == "uki":
            title = re.search(r'^PRETTY_NAME="?([^"\n]*)', found.texts.get(".osrel", ""), re.MULTILINE)
            named = title[1] if title else path.rpartition("/")[2]
            entries.append(KernelEntry(named, where + path, (), found.texts.get(".cmdline", ""), where + path))
    return loaders, entries


def efi_program(content: bytes) -> EfiProgram | None:
    """The type and the texts of a UEFI program; None if it is not in the PE format, or cut off."""
    import pefile  # noqa: PLC0415 - loaded only for an image with UEFI programs

    # pefile collects the garbage of the whole process when it is closed, and each time that it gives up.
    header = int.from_bytes(content[60:64], "little")
    if content[:2] != b"MZ" or content[header : header + 4] != b"PE\0\0":
        return None
    try:
        # fast_load: only the headers; a unified kernel image may have hundreds of megabytes.
        program = pefile.PE(data=content, fast_load=True)
        if len(program.sections) < program.FILE_HEADER.NumberOfSections:
            return None
        directories = program.OPTIONAL_HEADER.DATA_DIRECTORY
        is_signed = len(directories) > _SIGNATURE and directories[_SIGNATURE].Size > 0
        sections = {_section_name(section): section for section in program.sections}
    except (pefile.PEFormatError, AttributeError):  # AttributeError: a header is missing
        return None
    texts = {name: _section_text(sections[name], content) for name in _TEXT_SECTIONS if name in sections}
    kind, version = ("uki", texts.get(".uname")) if ".linux" in sections else _loader(content, texts)
    return EfiProgram(kind, version, is_signed, texts)


def _section_name(section: Any) -> str:
    name: bytes = section.Name
    return name.rstrip(b"\0").decode(errors="replace")


def _section_text(section: Any, content: bytes) -> str:
    stored: int = section.SizeOfRawData
    start: int = section.PointerToRawData
    data = content[start : start + min(section.Misc_VirtualSize or stored, stored, _MAX_SECTION)]
    return data.split(b"\0")[0].decode(errors="replace").strip("\ufeff").strip()


def _loader(content: bytes, texts: Mapping[str, str]) -> tuple[str, str | None]:
    """The type and the version of a boot loader."""
    boot = re.search(r"LoaderInfo: systemd-boot (\S+)", texts.get(".sdmagic", ""))
    if boot:
        return "systemd-boot", boot[1]
    # SBAT: component, generation, vendor, package, version, URL; the first row is about SBAT itself.
    rows = [row.split(",") for row in texts.get(".sbat", "").splitlines()[1:]]
    versions = {row[0]: row[4] for row in rows if len(row) >= 5}
    for kind in ("shim", "grub"):
        if kind in versions:
            packaged = [version for name, version in versions.items() if name.startswith(f"{kind}.")]
            return kind, (packaged or [versions[kind]])[0]
    return ("grub", None) if b"GRUB" in content and b"grub_" in content else ("other", None)


def _efi_files(tree: Tree, top: str) -> Iterator[str]:
    """The paths of UEFI programs. FAT ignores case."""
    for name in tree.names(top):
        if name.lower() != "efi":
            continue
        directory = f"{top.rstrip('/')}/{name}"
        for vendor in tree.names(directory):
            for file in tree.names(f"{directory}/{vendor}"):
                if file.lower().endswith(".efi") and tree.is_file(f"{directory}/{vendor}/{file}"):
                    yield f"{directory}/{vendor}/{file}"


def entries(tree: Tree, tops: tuple[str, ...], where: str = "") -> list[KernelEntry]:
    """The entries of GRUB's and iPXE's menus, and those of the Boot Loader Specification below `tops`.

    where precedes the paths of their sources.
    """
    found: list[KernelEntry] = []
    for top in tops:
        environment = _grub_environment(tree)
        for path in islice(tree.files(f"{top.rstrip('/')}/{_ENTRIES}", ".conf"), _MAX_ENTRIES):
            found.append(bls(tree.text(path, _MAX_ENTRY) or "", where + path, environment))
    for path in _GRUB_MENUS:
        found += grub_menu(tree.text(path, _MAX_MENU) or "", where + path)
    found += ipxe(tree.text("/boot.ipxe", _MAX_MENU) or "", where + "/boot.ipxe")
    return found[:_MAX_ENTRIES]


def _grub_environment(tree: Tree) -> dict[str, str]:
    """The variables in GRUB's environment block: lines of NAME=VALUE."""
    text = tree.text("/boot/grub2/grubenv", 4096) or tree.text("/grub2/grubenv", 4096) or ""
    lines = text.splitlines()
    return {name: value for name, equal, value in (line.partition("=") for line in lines) if equal}


def bls(text: str, source: str, environment: dict[str, str]) -> KernelEntry:
    """An entry of the Boot Loader Specification, type 1. $NAME in its options is a variable of GRUB."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key and not key.startswith("#"):
            fields.setdefault(key, []).append(value.strip())
    options = " ".join(fields.get("options", []))
    options = re.sub(r"\$(\w+)", lambda found: environment.get(found[1], found[0]), options, count=_MAX_VARIABLES)
    title = (fields.get("title") or [source.rpartition("/")[2].removesuffix(".conf")])[0]
    initramfs = tuple(word for value in fields.get("initrd", []) for word in value.split() if not word.startswith("$"))
    kernel = fields["linux"][0] if "linux" in fields else None
    return KernelEntry(title, kernel, initramfs, options.strip(), source)


def grub_menu(text: str, source: str) -> list[KernelEntry]:
    """The entries of a grub.cfg that start Linux, those of submenus included."""
    found: list[KernelEntry] = []
    title = ""
    for line in text.splitlines():
        words = _words(line)
        if not words:
            continue
        if words[0] == "menuentry" and len(words) > 1:
            title = words[1]
        elif words[0] in ("linux", "linuxefi", "linux16") and len(words) > 1 and title:
            found.append(KernelEntry(title, words[1], (), " ".join(words[2:]), source))
        elif words[0] in ("initrd", "initrdefi", "initrd16") and found and found[-1].title == title:
            last = found[-1]
            found[-1] = KernelEntry(last.title, last.kernel, tuple(words[1:]), last.options, source)
    return found


def ipxe(text: str, source: str) -> list[KernelEntry]:
    """The kernel that an iPXE script starts."""
    rows = [line.split() for line in text.splitlines()]
    images = tuple(row[1] for row in rows if len(row) > 1 and row[0] == "initrd")
    return [
        KernelEntry("iPXE", row[1], images, " ".join(row[2:]), source)
        for row in rows
        if len(row) > 1 and row[0] == "kernel"
    ]


def _words(line: str) -> list[str]:
    """The words of a line of GRUB's script, which is quoted like a shell script."""
    words = shell_fields(line)
    return line.split() if words is None else words
