"""org.osbuild-compose.grub"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, lead_outside, write

NAME = "org.osbuild-compose.grub"
UUID = "9c6ae55b-cf88-45b8-84e8-64990759f39d"
VERSIONS = ("6.1.0-9-amd64", "6.1.0-35-amd64", "6.10.0-1-cloud-amd64", "6.2.0~rc1-amd64", "6.2.0-amd64")


@pytest.fixture
def bootable(debian: Path) -> Path:
    """A tree with kernels and a little of GRUB."""
    for version in VERSIONS:
        write(debian, f"boot/vmlinuz-{version}")
        write(debian, f"boot/initrd.img-{version}")
    for name in ("ext2.mod", "fs.lst", "modinfo.sh", "boot.img", "kernel.exec"):
        write(debian, f"usr/lib/grub/i386-pc/{name}", name)
    write(debian, "usr/share/grub/unicode.pf2", "font")
    return debian


def make(run_stage: RunStage, tree: Path, **options: Any) -> tuple[str, str]:
    """Run the stage; returns the texts of grub.cfg and etc/default/grub."""
    result = run_stage(NAME, {"root_fs_uuid": UUID, **options})
    assert result.status == 0, result.log
    return (tree / "boot/grub/grub.cfg").read_text(), (tree / "etc/default/grub").read_text()


def variables(defaults: Path) -> dict[str, str]:
    """What update-grub, which sources the file, would see."""
    done = subprocess.run(["sh", "-ec", f". {defaults}; set"], capture_output=True, text=True, check=True, env={})
    pairs = (line.partition("=") for line in done.stdout.splitlines() if line.startswith("GRUB_"))
    return {name: value.strip("'") for name, _, value in pairs}


def test_an_entry_for_every_kernel_newest_first(bootable: Path, run_stage: RunStage) -> None:
    config, _ = make(run_stage, bootable, kernel_opts="quiet")
    order = ["6.10.0-1-cloud-amd64", "6.2.0-amd64", "6.2.0~rc1-amd64", "6.1.0-35-amd64", "6.1.0-9-amd64"]
    assert [line for line in config.splitlines() if "menuentry" in line] == [
        f"menuentry 'Debian GNU/Linux, with Linux {version}' --id linux-{version} {{" for version in order
    ]
    assert f"linux /boot/vmlinuz-6.2.0-amd64 root=UUID={UUID} ro quiet\n" in config
    assert "initrd /boot/initrd.img-6.2.0-amd64\n" in config
    assert f"search --no-floppy --fs-uuid --set=root {UUID}\n" in config


def test_a_device_in_the_place_of_a_module_is_not_copied(bootable: Path, run_stage: RunStage) -> None:
    """A pipe would be waited for, a device might have no end."""
    os.mkfifo(bootable / "usr/lib/grub/i386-pc/pipe.mod")
    result = run_stage(NAME, {"root_fs_uuid": UUID})
    assert result.status == 1
    assert "not a regular file" in result.log


def test_what_grub_install_would_have_placed(bootable: Path, run_stage: RunStage) -> None:
    make(run_stage, bootable)
    placed = bootable / "boot/grub/i386-pc"
    assert sorted(path.name for path in placed.iterdir()) == ["ext2.mod", "fs.lst", "modinfo.sh"]
    assert (placed / "ext2.mod").read_text() == "ext2.mod"
    assert (bootable / "boot/grub/fonts/unicode.pf2").read_text() == "font"
    environment = (bootable / "boot/grub/grubenv").read_bytes()
    assert len(environment) == 1024
    assert environment.startswith(b"# GRUB Environment Block\n#")


@pytest.mark.skipif(shutil.which("grub-editenv") is None, reason="no grub-editenv on this machine")
def test_grub_takes_the_environment(bootable: Path, run_stage: RunStage) -> None:
    make(run_stage, bootable)
    file = str(bootable / "boot/grub/grubenv")
    subprocess.run(["grub-editenv", file, "set", "next_entry=linux-6.2.0-amd64"], check=True)
    listing = subprocess.run(["grub-editenv", file, "list"], capture_output=True, text=True, check=True)
    assert listing.stdout == "next_entry=linux-6.2.0-amd64\n"


@pytest.mark.skipif(shutil.which("grub-script-check") is None, reason="no grub-script-check on this machine")
@pytest.mark.parametrize("name", ["Debian GNU/Linux", "It's; { $odd \\"])
def test_grub_takes_the_configuration(bootable: Path, run_stage: RunStage, name: str) -> None:
    quoted = "'" + name.replace("'", "'\\''") + "'"
    write(bootable, "etc/os-release", f"ID=debian\nNAME={quoted}\n")
    make(run_stage, bootable, kernel_opts="console=tty0 console=ttyS0,115200n8 quiet", serial=True)
    subprocess.run(["grub-script-check", str(bootable / "boot/grub/grub.cfg")], check=True)


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, None),
        ({"kernel_opts": "quiet console=tty0"}, None),
        ({"kernel_opts": "console=tty0 console=ttyS1,57600n8 quiet"}, "serial --unit=1 --speed=57600"),
        ({"kernel_opts": "console=ttyS0"}, "serial --unit=0 --speed=115200"),
        ({"kernel_opts": "console=ttyS0", "serial": False}, None),
        ({"serial": True}, "serial --unit=0 --speed=115200"),
        ({"kernel_opts": "noconsole=ttyS0"}, None),
    ],
)
def test_the_menu_follows_the_kernels_console(
    bootable: Path, run_stage: RunStage, options: dict[str, Any], command: str | None
) -> None:
    config, _ = make(run_stage, bootable, **options)
    settings = variables(bootable / "etc/default/grub")
    if command is None:
        assert "serial" not in config
        assert "GRUB_TERMINAL" not in settings
    else:
        assert f"{command}\nterminal_input console serial\nterminal_output console serial\n" in config
        assert settings["GRUB_TERMINAL"] == "console serial"
        assert settings["GRUB_SERIAL_COMMAND"] == command


def test_update_grub_would_write_the_same(bootable: Path, run_stage: RunStage) -> None:
    config, _ = make(run_stage, bootable, kernel_opts="net.ifnames=0 foo=a,b:c/d=~e%f!", timeout=7)
    assert "set timeout=7\n" in config
    settings = variables(bootable / "etc/default/grub")
    assert settings["GRUB_CMDLINE_LINUX"] == "net.ifnames=0 foo=a,b:c/d=~e%f!"
    assert settings["GRUB_TIMEOUT"] == "7"
    assert settings["GRUB_DISTRIBUTOR"] == "Debian"


SIGNED = {
    "shimx64.efi": "usr/lib/shim/shimx64.efi.signed",
    "mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
    "fbx64.efi": "usr/lib/shim/fbx64.efi.signed",
    "grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
}
UNSIGNED = "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi"


def esp(run_stage: RunStage, tree: Path, directory: str = "boot/efi", **options: Any) -> dict[str, str]:
    """Run the stage with UEFI; returns the texts of the files on the EFI system partition."""
    make(run_stage, tree, efi={"vendor": "debian", "directory": f"/{directory}"}, **options)
    top = tree / directory
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def test_files_for_arm_have_its_names(bootable: Path, run_stage: RunStage) -> None:
    """Those of shim-signed, grub-efi-arm64-signed and grub-efi-arm64-bin for arm64."""
    write(bootable, "usr/lib/grub/arm64-efi/monolithic/grubaa64.efi", "unsigned")
    found = esp(run_stage, bootable)
    assert sorted(found) == ["EFI/BOOT/BOOTAA64.EFI", "EFI/debian/grub.cfg", "EFI/debian/grubaa64.efi"]
    write(bootable, "usr/lib/shim/shimaa64.efi.signed", "shim")
    write(bootable, "usr/lib/shim/mmaa64.efi.signed", "mm")
    write(bootable, "usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed", "grub")
    found = esp(run_stage, bootable)
    assert {name: text for name, text in found.items() if name.startswith("EFI/BOOT/")} == {
        "EFI/BOOT/BOOTAA64.EFI": "shim",
        "EFI/BOOT/grubaa64.efi": "grub",
        "EFI/BOOT/mmaa64.efi": "mm",
    }


def test_secure_boot_begins_with_shim_where_firmware_looks(bootable: Path, run_stage: RunStage) -> None:
    for name, path in SIGNED.items():
        write(bootable, path, f"signed {name}")
    write(bootable, UNSIGNED, "unsigned")
    found = esp(run_stage, bootable)
    config = found.pop("EFI/debian/grub.cfg")
    assert found == {
        **{f"EFI/debian/{name}": f"signed {name}" for name in SIGNED},
        "EFI/BOOT/BOOTX64.EFI": "signed shimx64.efi",
        "EFI/BOOT/grubx64.efi": "signed grubx64.efi",
        "EFI/BOOT/mmx64.efi": "signed mmx64.efi",
    }  # no fbx64.efi in BOOT: shim would start it, to write to the firmware's menu, and not GRUB
    assert config == f"search.fs_uuid {UUID} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"


@pytest.mark.parametrize("missing", ["shimx64.efi", "grubx64.efi"])
def test_without_the_whole_chain_firmware_starts_the_unsigned_grub(
    bootable: Path, run_stage: RunStage, missing: str
) -> None:
    for name, path in SIGNED.items():
        if name != missing:
            write(bootable, path, f"signed {name}")
    write(bootable, UNSIGNED, "unsigned")
    found = esp(run_stage, bootable, directory="efi")
    assert sorted(found) == ["EFI/BOOT/BOOTX64.EFI", "EFI/debian/grub.cfg", "EFI/debian/grubx64.efi"]
    assert found["EFI/BOOT/BOOTX64.EFI"] == found["EFI/debian/grubx64.efi"] == "unsigned"


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ({"boot_fs_uuid": "1c6ae55b-cf88-45b8-84e8-64990759f39d"}, "/grub"),
        ({"boot_path": "/@/boot"}, "/@/boot/grub"),
    ],
)
def test_grub_for_uefi_finds_its_configuration_where_boot_is(
    bootable: Path, run_stage: RunStage, options: dict[str, str], prefix: str
) -> None:
    write(bootable, UNSIGNED)
    config = esp(run_stage, bootable, **options)["EFI/debian/grub.cfg"]
    where = options.get("boot_fs_uuid", UUID)
    assert config.splitlines()[:2] == [f"search.fs_uuid {where} root", f"set prefix=($root)'{prefix}'"]


def test_without_any_grub_for_uefi(bootable: Path, run_stage: RunStage) -> None:
    result = run_stage(NAME, {"root_fs_uuid": UUID, "efi": {"vendor": "debian"}})
    assert result.status == 1
    assert "the tree has no GRUB for UEFI" in result.log
    assert "install the package grub-efi-amd64-bin or grub-efi-arm64-bin, and for Secure Boot" in result.log
    assert not (bootable / "boot/grub/grub.cfg").exists()


def test_what_is_missing(bootable: Path, run_stage: RunStage) -> None:
    def error(**options: Any) -> str:
        result = run_stage(NAME, {"root_fs_uuid": UUID, **options})
        assert result.status == 1
        assert not (bootable / "boot/grub/grub.cfg").exists()
        return result.log

    assert "install the package grub-efi-amd64-bin" in error(platforms=["x86_64-efi"])
    (bootable / "usr/share/grub/unicode.pf2").unlink()
    assert "install the package grub-common" in error()
    (bootable / "boot/initrd.img-6.2.0-amd64").unlink()
    assert "the kernel 6.2.0-amd64 has no /boot/initrd.img-6.2.0-amd64" in error()
    shutil.rmtree(bootable / "boot")
    assert "the tree has no kernel" in error()


@pytest.mark.parametrize("path", ["boot", "boot/grub", "boot/grub/i386-pc", "boot/grub/grub.cfg", "etc/default"])
def test_stays_in_the_tree(bootable: Path, run_stage: RunStage, tmp_path: Path, path: str) -> None:
    outside = lead_outside(bootable, path, tmp_path / "outside")
    result = run_stage(NAME, {"root_fs_uuid": UUID})
    assert result.status == 0, result.log
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("opts", ["a\nb", 'a="b"', "a'b", "$x", "`x`", "a;b", "a{b", "a|b", "a&b", "a#b", "a\\", "a\n"])
def test_refuses_what_shell_or_grub_would_take(opts: str) -> None:
    assert not accepts(NAME, {"root_fs_uuid": UUID, "kernel_opts": opts})
