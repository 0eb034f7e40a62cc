"""org.osbuild-compose.systemd-boot, as far as it runs none of the tree's programs, and its plug-ins"""

import shutil
import struct
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from stagelib import bls, kernel_install, uki
from stagelib.errors import StageError

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild-compose.systemd-boot"
UUID = "9c6ae55b-cf88-45b8-84e8-64990759f39d"
VERSION = "6.1.0-9-amd64"
STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
PAGE = 4096


@pytest.fixture
def bootable(debian: Path) -> Path:
    """A tree with all that the stage looks for before it runs a program."""
    for path in (
        f"boot/vmlinuz-{VERSION}",
        f"boot/initrd.img-{VERSION}",
        "usr/bin/kernel-install",
        "usr/lib/systemd/boot/efi/systemd-bootx64.efi",
        "usr/lib/systemd/boot/efi/linuxx64.efi.stub",
    ):
        write(debian, path)
    return debian


def test_what_is_missing_is_reported_before_anything_is_written(bootable: Path, run_stage: RunStage) -> None:
    def error(**options: Any) -> str:
        result = run_stage(NAME, {"root_fs_uuid": UUID, **options})
        assert result.status == 1
        assert not (bootable / "boot/efi").exists()
        return result.log

    assert "set uki: true" in error(loader=False)
    assert "the tree has no `objcopy`" in error(uki=True)
    (bootable / "usr/lib/systemd/boot/efi/linuxx64.efi.stub").unlink()
    assert "no /usr/lib/systemd/boot/efi/linuxx64.efi.stub" in error(uki=True, loader=False)
    (bootable / "usr/lib/systemd/boot/efi/systemd-bootx64.efi").unlink()
    assert "install the package systemd-boot-efi (Debian) or systemd-boot-unsigned (Fedora)" in error()
    write(bootable, "usr/lib/systemd/boot/efi/systemd-bootx64.efi")
    (bootable / f"boot/initrd.img-{VERSION}").unlink()
    assert f"the kernel {VERSION} has no initramfs" in error()
    (bootable / f"boot/vmlinuz-{VERSION}").unlink()
    assert "the tree has no kernel" in error()
    (bootable / "usr/bin/kernel-install").unlink()
    assert "the tree has no `kernel-install`" in error()


@pytest.mark.parametrize("opts", ["a\nb", "a\n", "\x00"])
def test_refuses_options_of_several_lines(opts: str) -> None:
    assert not accepts(NAME, {"root_fs_uuid": UUID, "kernel_opts": opts})
    assert accepts(NAME, {"root_fs_uuid": UUID, "kernel_opts": 'dyndbg="file a.c +p" quiet'})


def test_an_entry_names_files_as_the_boot_loader_sees_them(tree: Path) -> None:
    entry = write(tree, "boot/efi/loader/entries/debian-6.conf")
    entry.write_text(
        "title x\noptions init=/boot/efi/x\nlinux      /boot/efi/debian/6/linux\ninitrd /boot/efi/debian/6/i\n"
    )
    bls.relocate(str(tree), "boot/efi/loader/entries/debian-6.conf", "/boot/efi")
    assert entry.read_text().splitlines()[1:] == [
        "options init=/boot/efi/x",
        "linux      /debian/6/linux",
        "initrd /debian/6/i",
    ]


class Plugins:
    """kernel-install's plug-ins on this machine, their absolute paths changed to those of a directory."""

    def __init__(self, room: Path) -> None:
        self.room, self.boot = room, room / "boot"
        (room / "modules/6.1").mkdir(parents=True)
        write(room, "cmdline", "root=UUID=x ro  quiet\n")
        write(room, "kernel").write_bytes(b"kernel" * 100_001)
        write(room, "initrd").write_bytes(b"initrd" * 200_001)

    def run(self, text: str, command: str, version: str, *arguments: Path) -> None:
        """Run the plug-in as kernel-install would."""
        staging = self.room / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        plugin = write(self.room, "plugin", text.replace("/etc/kernel/cmdline", f"{self.room}/cmdline"))
        plugin.write_text(plugin.read_text().replace("/usr/lib/modules", f"{self.room}/modules"))
        environment = {"BOOT_ROOT": str(self.boot), "LAYOUT": "uki", "ENTRY_TOKEN": "d", "STAGING_AREA": str(staging)}
        subprocess.run(
            ["sh", plugin, command, version, self.boot / "d" / version, *arguments],
            env={"PATH": "/usr/bin:/bin"} | {f"KERNEL_INSTALL_{name}": value for name, value in environment.items()},
            check=True,
        )

    def unified(self, version: str = "6.1") -> Path:
        """The unified kernel image that objcopy makes."""
        self.run(kernel_install.OBJCOPY_PLUGIN, "add", version, self.room / "kernel", self.room / "initrd")
        return self.boot / f"EFI/Linux/d-{version}.efi"


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    if shutil.which("objcopy") is None or not STUB.exists():
        pytest.skip(f"no objcopy (binutils) or no {STUB} (systemd-boot-efi) on this machine")
    return Plugins(tmp_path)


def test_objcopy_makes_a_unified_kernel_image(plugins: Plugins) -> None:
    data = plugins.unified().read_bytes()
    found = uki.sections(data)
    for name, path in {b".linux": "kernel", b".initrd": "initrd"}.items():
        section = found[name]
        assert data[section.offset : section.offset + section.size] == (plugins.room / path).read_bytes()
    assert uki.command_line(data) == b"root=UUID=x ro  quiet"
    assert data[found[b".uname"].offset :].startswith(b"6.1\0")
    own = set(found) - set(uki.sections(STUB.read_bytes()))
    assert own == {b".osrel", b".uname", b".cmdline", b".initrd", b".linux"}
    assert all(found[name].address % PAGE == 0 for name in own)
    placed = sorted((one.address, one.address + one.size) for one in found.values())
    assert all(end <= start for (_, end), (start, _) in pairwise(placed))
    assert placed[-1] == (found[b".linux"].address, found[b".linux"].address + found[b".linux"].size)
    (pe,) = struct.unpack_from("<I", data, 0x3C)
    (image_size,) = struct.unpack_from("<I", data, pe + 24 + 56)
    assert image_size >= placed[-1][1]
    assert struct.unpack_from("<I", data, pe + 8) == struct.unpack_from(
        "<I", STUB.read_bytes(), pe + 8
    )  # the stub's time
    subprocess.run(["objdump", "-h", plugins.unified()], check=True, stdout=subprocess.DEVNULL)
    assert plugins.unified().read_bytes() == data


def test_a_kernel_that_is_removed_takes_its_image_with_it(plugins: Plugins) -> None:
    made = plugins.unified()
    plugins.run(kernel_install.OBJCOPY_PLUGIN, "remove", "6.1")
    assert not made.exists()


def test_firmware_gets_the_newest_kernel(plugins: Plugins) -> None:
    removable = kernel_install.REMOVABLE_PLUGIN.replace("@NAME@", "BOOTX64.EFI")
    (plugins.room / "modules/6.10").mkdir()
    newest = plugins.unified("6.10").read_bytes()
    plugins.run(removable, "add", "6.10")
    plugins.unified("6.1")
    plugins.run(removable, "add", "6.1")
    assert (plugins.boot / "EFI/BOOT/BOOTX64.EFI").read_bytes() == newest
    assert list((plugins.boot / "EFI/Linux").iterdir()) == []


def test_another_command_line_for_a_unified_kernel_image(plugins: Plugins) -> None:
    data = plugins.unified().read_bytes()
    changed = uki.with_command_line(data, b"roothash=" + b"a" * 64)
    assert uki.command_line(changed) == b"roothash=" + b"a" * 64
    assert len(changed) == len(data)
    before = uki.command_line(data)
    assert uki.with_command_line(changed, before) == uki.with_command_line(data, before)
    with pytest.raises(StageError, match="room for 512 bytes of options for the kernel, not 513"):
        uki.with_command_line(data, b"x" * 513)
    (pe,) = struct.unpack_from("<I", data, 0x3C)
    signed = bytearray(data)
    struct.pack_into("<II", signed, pe + 24 + uki.CERTIFICATES, len(data), 8)
    with pytest.raises(StageError, match="a signed unified kernel image"):
        uki.with_command_line(bytes(signed), b"x")


@pytest.mark.parametrize("data", [b"", b"MZ", b"MZ".ljust(100, b"\xff"), b"\x7fELF".ljust(4096, b"\0")])
def test_what_is_no_unified_kernel_image(data: bytes) -> None:
    assert not uki.is_unified(data)
