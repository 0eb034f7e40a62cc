"""The boot harness' parts, without QEMU."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from osbuild_compose import firmware
from osbuild_compose.boot import Firmware, Machine, MachineError, accel, image
from osbuild_compose.boot.console import Console


@pytest.fixture(autouse=True)
def qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A QEMU that need not be installed."""
    monkeypatch.setattr(accel, "qemu_version", lambda: (8, 0))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.mark.parametrize(
    ("head", "tail", "kind"),
    [
        (b"QFI\xfb", b"", "qcow2"),
        (b"KDMV", b"", "vmdk"),
        (b"vhdxfile", b"", "vhdx"),
        (b"<<< QEMU VM".ljust(0x40) + b"\x7f\x10\xda\xbe", b"", "vdi"),
        (b"\xeb\x63\x90", b"conectix", "vpc"),
        (b"conectix", b"", "vpc"),
        (b"\xeb\x63\x90", b"", "raw"),
        (b"", b"", "raw"),
    ],
)
def test_format_is_seen_from_the_content(tmp_path: Path, head: bytes, tail: bytes, kind: str) -> None:
    path = tmp_path / "image"
    path.write_bytes(head.ljust(4096, b"\0") + tail.ljust(512, b"\0"))
    assert image.format_of(path) == kind


def test_compressed_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"\xfd7zXZ\0" + bytes(1000))
    with pytest.raises(ValueError, match="unpack it"):
        image.format_of(tmp_path / "image")


def test_environment_decides_about_the_accelerator() -> None:
    assert accel.arguments({"COMPOSE_ACCEL": "kvm"}) == accel.KVM
    assert accel.arguments({"COMPOSE_ACCEL": "tcg"}) == accel.tcg()
    with pytest.raises(ValueError, match="it can be kvm or tcg"):
        accel.arguments({"COMPOSE_ACCEL": "fast"})


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (["kvm", "kvm_amd"], True),
        (["kvm", "kvm_intel"], True),
        (["kvm", "kvm_pvm"], False),
        (["kvm"], False),
        ([], False),
    ],
)
def test_kvm_needs_the_processors_virtualisation(tmp_path: Path, modules: list[str], expected: bool) -> None:
    for name in modules:
        (tmp_path / name).mkdir()
    assert accel.hardware_kvm(tmp_path) is expected
    if not expected:
        assert accel.arguments({}, tmp_path) == accel.tcg()


def test_old_qemu_hides_the_instruction_that_it_emulates_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "qemu_version", lambda: (7, 2))
    assert accel.tcg()[-1] == "max,-la57,-cx16"
    monkeypatch.setattr(accel, "qemu_version", lambda: (8, 0))
    assert accel.tcg()[-1] == "max,-la57"


def test_command_keeps_the_image_and_stays_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / "a,b").write_bytes(b"QFI\xfb")
    machine = Machine(tmp_path / "a,b", ports=(22,))
    machine.forwards = {22: 2222}
    command = machine.command()
    assert f"file={tmp_path}/a,,b,format=qcow2,if=virtio,snapshot=on,cache=unsafe" in command
    assert "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22" in command


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\xeb\x63\x90".ljust(512, b"\0") + b"EFI PART", image.Disk(Firmware.BIOS, 512)),
        (bytes(446).ljust(512, b"\xff") + b"EFI PART", image.Disk(Firmware.UEFI, 512)),
        (bytes(4096) + b"EFI PART", image.Disk(Firmware.UEFI, 4096)),
        (b"\xeb\x63\x90", image.Disk(Firmware.BIOS, 512)),
    ],
)
def test_how_a_disk_starts_is_seen_from_its_first_sectors(tmp_path: Path, head: bytes, expected: image.Disk) -> None:
    path = tmp_path / "image"
    path.write_bytes(head.ljust(16384, b"\0"))
    assert image.disk_of(path) == expected


def test_firmware_is_looked_for_where_distributions_have_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no firmware for uefi: it is in the package ovmf"):
        firmware.arguments(Firmware.UEFI, tmp_path, tmp_path)
    for name in ("edk2/ovmf/OVMF_CODE_4M.secboot.qcow2", "edk2/ovmf/OVMF_VARS_4M.secboot.qcow2"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    argv = firmware.arguments(Firmware.UEFI_SECURE, tmp_path, tmp_path)
    assert "q35,smm=on" in argv
    assert f"if=pflash,format=qcow2,unit=1,file={tmp_path}/OVMF_VARS_4M.secboot.qcow2" in argv
    assert (tmp_path / "OVMF_VARS_4M.secboot.qcow2").read_text() == name
    assert firmware.arguments(Firmware.BIOS, tmp_path, tmp_path) == []


def test_sectors_of_another_size_are_the_disks(tmp_path: Path) -> None:
    (tmp_path / "image").touch()
    command = Machine(tmp_path / "image", sector=4096).command()
    assert "virtio-blk-pci,drive=disk,logical_block_size=4096,physical_block_size=4096" in command


@pytest.fixture
def line() -> tuple[Console, int]:
    """A console, and the descriptor to print on it."""
    read, write = os.pipe()
    return Console(os.fdopen(read, "rb")), write


def test_each_match_is_found_once(line: tuple[Console, int]) -> None:
    console, write = line
    threading.Timer(0.1, lambda: os.write(write, b"one\r\ntwo\r\none more\n")).start()
    assert console.wait_for("^one$", 5)[0] == "one"
    assert console.wait_for(r"one (\w+)", 5)[1] == "more"
    with pytest.raises(MachineError, match="did not show up"):
        console.wait_for("one", 0.1)
    os.close(write)
    console.close()


@pytest.mark.parametrize(
    "last",
    [
        "Kernel panic - not syncing: VFS",
        "ALERT! UUID=1 does not exist. Dropping to a shell",
        "You are in emergency mode. After logging in, type",
    ],
)
def test_a_lost_system_is_not_waited_for(line: tuple[Console, int], last: str) -> None:
    console, write = line
    os.write(write, last.encode())
    with pytest.raises(MachineError, match="the system is lost"):
        console.wait_for("login:", 60)
    os.close(write)
    console.close()


def test_machine_that_was_not_started_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "none")
    for action in (lambda: machine.wait_for("x"), lambda: machine.send("x"), machine.wait_for_end):
        with pytest.raises(MachineError):
            action()
    with pytest.raises(FileNotFoundError):
        machine.__enter__()
