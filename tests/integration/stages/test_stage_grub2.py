"""org.osbuild.grub2"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, lead_outside, write

NAME = "org.osbuild.grub2"
UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
BOOT_UUID = "9c6ae55b-cf88-45b8-84e8-64990759f39d"
CHECK = shutil.which("grub2-script-check") or shutil.which("grub-script-check")
EDIT = shutil.which("grub2-editenv") or shutil.which("grub-editenv")
EVERYTHING = {
    "saved_entry": f"{'f' * 32}-5.6.6-300.fc32.x86_64",
    "greenboot": True,
    "ignition": True,
    "kernel_opts": "ro console=ttyS0,115200",
    "config": {
        **{"default": "saved", "disable_recovery": True, "disable_submenu": False, "distributor": "Lab Linux"},
        **{"terminal": ["console", "serial"], "serial": "serial --unit=0 --speed=115200"},
        **{"timeout": 5, "timeout_style": "countdown"},
    },
}


@pytest.fixture
def bootable(tree: Path) -> Path:
    """A tree with a boot entry and a little of GRUB."""
    write(tree, "boot/loader/entries/a.conf", "title A\nlinux /boot/vmlinuz\noptions root=/dev/osbuild\n")
    for name in ("ext2.mod", "fs.lst", "fdt.lst", "modinfo.sh", "boot.img"):
        write(tree, f"usr/lib/grub/i386-pc/{name}", name)
    write(tree, "usr/share/grub/unicode.pf2", "font")
    return tree


def make(run_stage: RunStage, **options: Any) -> None:
    """Run the stage."""
    result = run_stage(NAME, {"root_fs_uuid": UUID, **options})
    assert result.status == 0, result.log


def text(tree: Path, path: str) -> str:
    return (tree / path).read_text()


def variables(block: Path) -> dict[str, str]:
    """What is in the environment block, as GRUB's own tool reads it."""
    if EDIT is None:
        pytest.skip("no grub-editenv on this machine")
    listing = subprocess.run([EDIT, str(block), "list"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in listing.stdout.splitlines())


def test_the_options_of_2019(bootable: Path, run_stage: RunStage) -> None:
    make(run_stage, kernel_opts="quiet")
    config = text(bootable, "boot/grub2/grub.cfg")
    assert f"search --no-floppy --set=root --fs-uuid {UUID}\n" in config
    assert "set timeout=0\n" in config
    assert "  blscfg --path /boot/loader/entries\nelse\n  blscfg\nfi\n" in config
    assert "GRUB_TIMEOUT=0\nGRUB_ENABLE_BLSCFG=true\n" in text(bootable, "etc/default/grub")
    assert variables(bootable / "boot/grub2/grubenv") == {"kernelopts": f"root=UUID={UUID} quiet"}
    assert (bootable / "boot/grub2/grubenv").stat().st_size == 1024
    placed = bootable / "boot/grub2/i386-pc"
    assert sorted(path.name for path in placed.iterdir()) == ["ext2.mod", "fs.lst"]
    assert text(bootable, "boot/grub2/fonts/unicode.pf2") == "font"
    assert f"options root=UUID={UUID} quiet\n" in text(bootable, "boot/loader/entries/a.conf")
    assert text(bootable, "etc/kernel/cmdline") == f"root=UUID={UUID} quiet\n"
    assert not (bootable / "boot/efi").exists()


def test_a_boot_file_system_of_its_own(bootable: Path, run_stage: RunStage) -> None:
    make(run_stage, boot_fs_uuid=BOOT_UUID, ignition=True)
    config = text(bootable, "boot/grub2/grub.cfg")
    assert f"search --no-floppy --set=root --fs-uuid {BOOT_UUID}\n" in config
    assert "blscfg --path /loader/entries\n" in config
    assert '"/ignition.firstboot"' in config
    assert variables(bootable / "boot/grub2/grubenv") == {"kernelopts": f"root=UUID={UUID}"}


def test_file_systems_by_label(bootable: Path, run_stage: RunStage) -> None:
    result = run_stage(NAME, {"rootfs": {"label": "root"}, "bootfs": {"label": "boot"}})
    assert result.status == 0, result.log
    assert "search --no-floppy --set=root --label boot\n" in text(bootable, "boot/grub2/grub.cfg")
    assert text(bootable, "etc/kernel/cmdline") == "root=LABEL=root\n"


@pytest.mark.parametrize(
    ("options", "redirected", "both"),
    [
        ({}, False, False),
        ({"legacy": True}, True, True),
        ({"legacy": "i386-pc"}, True, True),
        ({"legacy": False}, False, False),
    ],
)
def test_uefi(bootable: Path, run_stage: RunStage, options: dict[str, Any], *, redirected: bool, both: bool) -> None:
    make(run_stage, uefi={"vendor": "fedora"}, **options)
    efi = text(bootable, "boot/efi/EFI/fedora/grub.cfg")
    assert ("configfile $prefix/grub.cfg" in efi) == redirected
    assert ("blscfg" in efi) != redirected
    assert (bootable / "boot/grub2/grub.cfg").exists() == both
    assert (bootable / "boot/grub2/i386-pc").exists() == both


def test_uefi_with_its_configuration_in_boot(bootable: Path, run_stage: RunStage) -> None:
    make(run_stage, uefi={"vendor": "fedora", "unified": True}, boot_fs_uuid=BOOT_UUID)
    assert "set prefix=($dev)/grub2\n" in text(bootable, "boot/efi/EFI/fedora/grub.cfg")
    assert "blscfg" in text(bootable, "boot/grub2/grub.cfg")
    assert not (bootable / "boot/grub2/i386-pc").exists()


def test_the_environment_on_the_efi_system_partition(bootable: Path, run_stage: RunStage) -> None:
    """Fedora's package has a symlink there, which stays unless GRUB for BIOS is there, too."""
    link = bootable / "boot/grub2/grubenv"
    link.parent.mkdir()
    link.symlink_to("../efi/EFI/fedora/grubenv")
    make(run_stage, uefi={"vendor": "fedora"})
    assert link.is_symlink()
    assert (bootable / "boot/efi/EFI/fedora/grubenv").stat().st_size == 1024
    make(run_stage, uefi={"vendor": "fedora"}, legacy=True)
    assert not link.is_symlink()


@pytest.mark.usefixtures("bootable")
def test_programs_for_uefi_that_the_build_root_does_not_have(run_stage: RunStage) -> None:
    uefi = {"vendor": "no-such-vendor", "install": True, "efi_src_dir": "/usr/lib/nowhere"}
    result = run_stage(NAME, {"root_fs_uuid": UUID, "uefi": uefi})
    assert result.status == 1
    assert "stages see no /usr/lib/nowhere/BOOT in the build root" in result.log


def test_everything_for_the_menu(bootable: Path, run_stage: RunStage) -> None:
    make(run_stage, **EVERYTHING)
    config = text(bootable, "boot/grub2/grub.cfg")
    assert "set timeout=5\nset timeout_style=countdown\n" in config
    assert "serial --unit=0 --speed=115200\nterminal_input console serial\nterminal_output console serial\n" in config
    assert '"/boot/ignition.firstboot"' in config
    assert "decrement boot_counter\n" in config
    environment = variables(bootable / "boot/grub2/grubenv")
    assert environment["saved_entry"] == EVERYTHING["saved_entry"]
    assert text(bootable, "etc/default/grub").splitlines() == [
        "GRUB_TIMEOUT=5",
        "GRUB_TIMEOUT_STYLE=countdown",
        "GRUB_ENABLE_BLSCFG=true",
        'GRUB_CMDLINE_LINUX="ro console=ttyS0,115200"',
        "GRUB_DEFAULT=saved",
        'GRUB_DISTRIBUTOR="Lab Linux"',
        "GRUB_DISABLE_RECOVERY=true",
        "GRUB_DISABLE_SUBMENU=false",
        'GRUB_TERMINAL="console serial"',
        'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"',
    ]


def test_what_is_not_written(bootable: Path, run_stage: RunStage) -> None:
    write(bootable, "etc/kernel/cmdline", "own\n")
    make(run_stage, write_defaults=False, write_cmdline=False)
    assert not (bootable / "etc/default/grub").exists()
    assert text(bootable, "etc/kernel/cmdline") == "own\n"
    assert variables(bootable / "boot/grub2/grubenv") == {}
    make(run_stage, remove_unset=True)
    assert "TIMEOUT" not in text(bootable, "etc/default/grub")


@pytest.mark.skipif(CHECK is None, reason="no grub-script-check on this machine")
@pytest.mark.parametrize("options", [{}, EVERYTHING, {"boot_fs_uuid": BOOT_UUID, "uefi": {"vendor": "fedora"}}])
def test_grub_takes_the_configuration(bootable: Path, run_stage: RunStage, options: dict[str, Any]) -> None:
    make(run_stage, legacy=True, **options)
    for path in ("boot/grub2/grub.cfg", "boot/efi/EFI/fedora/grub.cfg"):
        if (bootable / path).exists():
            subprocess.run([str(CHECK), str(bootable / path)], check=True)


@pytest.mark.usefixtures("bootable")
def test_what_is_missing(run_stage: RunStage) -> None:
    result = run_stage(NAME, {"root_fs_uuid": UUID, "legacy": "mips-none"})
    assert result.status == 1
    assert "there is no GRUB for mips-none" in result.log
    result = run_stage(NAME, {"root_fs_uuid": UUID, "kernel_opts": "a" * 1024})
    assert result.status == 1
    assert "make kernel_opts shorter" in result.log


@pytest.mark.parametrize("path", ["boot", "boot/grub2", "boot/grub2/i386-pc", "boot/grub2/grub.cfg", "etc/default"])
def test_stays_in_the_tree(bootable: Path, run_stage: RunStage, tmp_path: Path, path: str) -> None:
    outside = lead_outside(bootable, path, tmp_path / "outside")
    result = run_stage(NAME, {"root_fs_uuid": UUID})
    assert result.status == 0, result.log
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"root_fs_uuid": "x"},
        {"root_fs_uuid": UUID, "rootfs": {"uuid": UUID}},
        {"root_fs_uuid": UUID, "boot_fs_uuid": UUID, "bootfs": {"label": "b"}},
        {"rootfs": {"uuid": UUID, "label": "a"}},
        {"root_fs_uuid": UUID, "kernel_opts": "a;b"},
        {"root_fs_uuid": UUID, "kernel_opts": "a\n"},
        {"root_fs_uuid": UUID, "uefi": {"vendor": "../x"}},
        {"root_fs_uuid": UUID, "saved_entry": "a b"},
        {"root_fs_uuid": UUID, "config": {"serial": "serial; reboot"}},
        {"root_fs_uuid": UUID, "config": {"distributor": "$(reboot)"}},
    ],
)
def test_refuses(options: dict[str, Any]) -> None:
    assert not accepts(NAME, options)
