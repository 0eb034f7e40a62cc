"""What this machine has and lacks for `compose boot`: facts about it, and what they mean."""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from osbuild_compose import firmware
from osbuild_compose.boot import accel
from osbuild_compose.doctor.finding import Finding, State, missing
from osbuild_compose.firmware import Firmware

GOOD_EMULATION = (8, 0)  # the first QEMU that emulates processors for all distributions
_EMULATED = "slower: `compose boot` emulates the machine's processor"
_NESTED = "allow virtualisation in the firmware's setup; in a virtual machine, its host must allow it to be nested"
_COSTS = {
    Firmware.UEFI: "`compose boot` starts images with BIOS only",
    Firmware.UEFI_SECURE: "`compose boot` starts no image with Secure Boot",
}


@dataclass(frozen=True)
class Facts:
    """What is known. qemu is its version, (0, 0) if it is not installed.

    machine is the processor's architecture. device, usable: whether there is a /dev/kvm, and this user may use it.
    hardware: whether it is the processor's own virtualisation. works: whether a guest ran with it. flashes are the
    files of each UEFI's code, None for one that is not here.
    """

    qemu: tuple[int, int]
    machine: str
    device: bool
    usable: bool
    hardware: bool
    works: bool
    flashes: Mapping[Firmware, str | None]


def gather(device: Path = Path("/dev/kvm"), sys_module: Path = Path("/sys/module")) -> Facts:
    """The facts of this machine; a guest of seven bytes is run."""
    hardware = accel.hardware_kvm(sys_module)
    return Facts(
        qemu=accel.qemu_version(),
        machine=platform.machine(),
        device=device.exists(),
        usable=os.access(device, os.R_OK | os.W_OK),
        hardware=hardware,
        works=hardware and accel.kvm_works(),
        flashes={kind: _code(kind) for kind in _COSTS},
    )


def judge(facts: Facts, family: str) -> list[Finding]:
    """What the facts mean for booting images, on a system whose packages are of that family."""
    if facts.qemu == (0, 0):
        return [missing(accel.QEMU, "no `compose boot`", accel.PACKAGES, family), *_firmware(facts, family)]
    return [_qemu(facts), _kvm(facts), *_firmware(facts, family)]


def _qemu(facts: Facts) -> Finding:
    version = ".".join(map(str, facts.qemu))
    if facts.works or facts.qemu >= GOOD_EMULATION:
        return Finding(accel.QEMU, State.OK, version)
    wanted = ".".join(map(str, GOOD_EMULATION))
    cost = "where the processor is emulated, Enterprise Linux 9 and later do not boot"
    mend = f"install QEMU {wanted} or later, or have KVM"
    return Finding(accel.QEMU, State.LACKING, f"{version}, older than {wanted}", cost, mend)


def _kvm(facts: Facts) -> Finding:
    if facts.works:
        return Finding("KVM", State.OK, "a guest runs")
    if facts.machine != "x86_64":
        detail, mend = f"images for x86_64 are emulated on {facts.machine}", "boot them on an x86_64 machine"
    elif not facts.device:
        detail, mend = "there is no /dev/kvm", f"as root: modprobe kvm_intel, or kvm_amd; {_NESTED}"
    elif not facts.hardware:
        detail, mend = "/dev/kvm is not the processor's own virtualisation, with which alone Linux boots", _NESTED
    elif not facts.usable:
        detail = "this user may not use /dev/kvm"
        mend = "as root: usermod --append --groups kvm USER; then log in again"
    else:
        detail, mend = "there is a /dev/kvm, but a guest does not run with it", _NESTED
    return Finding("KVM", State.LACKING, detail, _EMULATED, mend)


def _firmware(facts: Facts, family: str) -> Iterator[Finding]:
    names = {Firmware.UEFI: "UEFI", Firmware.UEFI_SECURE: "UEFI with Secure Boot"}
    for kind, cost in _COSTS.items():
        code = facts.flashes[kind]
        if code is None:
            yield missing(names[kind], cost, firmware.PACKAGES, family)
        else:
            yield Finding(names[kind], State.OK, code)


def _code(kind: Firmware) -> str | None:
    try:
        return str(firmware.SHARE / firmware.flash_of(kind).code)
    except FileNotFoundError:
        return None
