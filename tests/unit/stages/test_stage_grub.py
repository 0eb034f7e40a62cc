"""org.osbuild-compose.grub"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from stage_unit import RunStage, accepts, write

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
    outside = tmp_path / "outside"
    outside.mkdir()
    link = bootable / path
    if link.exists():
        shutil.move(link, tmp_path / "moved")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    run_stage(NAME, {"root_fs_uuid": UUID})
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("opts", ["a\nb", 'a="b"', "a'b", "$x", "`x`", "a;b", "a{b", "a|b", "a&b", "a#b", "a\\", "a\n"])
def test_refuses_what_shell_or_grub_would_take(opts: str) -> None:
    assert not accepts(NAME, {"root_fs_uuid": UUID, "kernel_opts": opts})
