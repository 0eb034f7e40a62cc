"""KVM or TCG? A /dev/kvm that can be opened does not mean that a guest gets anywhere."""

import functools
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

QEMU = "qemu-system-x86_64"
KVM = ("-accel", "kvm", "-cpu", "host")
TCG = ("-accel", "tcg,thread=multi", "-cpu", "max")
# Before QEMU 8.0 an interrupt after the instruction cmpxchg16b leaves rubbish in the flags; Linux 6.12 (Debian 13) uses
# it in kmalloc and panics sooner or later. Without it neither the kernel nor distributions for plain x86-64 lack
# anything. Those for x86-64-v2 (RHEL 9) do not start so: give them the arguments "-cpu", "max".
TCG_BEFORE_8 = ("-accel", "tcg,thread=multi", "-cpu", "max,-cx16")

VARIABLE = "COMPOSE_ACCEL"
PROBE_TIMEOUT = 5.0  # seconds; a machine with a working KVM needs half of one
DONE = 0x2A

# mov dx, 0xf4; mov al, DONE; out dx, al; hlt: the device isa-debug-exit ends QEMU with status 2 * DONE + 1.
PROBE_GUEST = bytes([0xBA, 0xF4, 0x00, 0xB0, DONE, 0xEE, 0xF4])


def arguments(environ: Mapping[str, str] = os.environ, sys_module: Path = Path("/sys/module")) -> tuple[str, ...]:
    """QEMU's arguments for the fastest processor that works here.

    COMPOSE_ACCEL=kvm or tcg in `environ` decides; else KVM is taken only where kvm_works says so. Raises ValueError
    on another value of it.
    """
    forced = environ.get(VARIABLE)
    if forced not in (None, "", "kvm", "tcg"):
        raise ValueError(f"{VARIABLE} is '{forced}': it can be kvm or tcg")
    if forced:
        return KVM if forced == "kvm" else tcg()
    return KVM if hardware_kvm(sys_module) and kvm_works() else tcg()


def tcg() -> tuple[str, ...]:
    """QEMU's arguments for emulation."""
    return TCG_BEFORE_8 if qemu_version() < (8, 0) else TCG


@functools.cache
def qemu_version() -> tuple[int, int]:
    """QEMU's version; (0, 0) when it is not installed or does not say. Asked once."""
    try:
        said = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return (0, 0)
    found = re.search(r"version (\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def hardware_kvm(sys_module: Path) -> bool:
    """Whether KVM stands on the processor's own virtualisation (VMX, SVM).

    kvm_pvm does without: firmware and boot loaders run on it, and then Linux guests spin for ever, so that no small
    probe can tell.
    """
    if (sys_module / "kvm_pvm").exists():
        return False
    return (sys_module / "kvm_intel").exists() or (sys_module / "kvm_amd").exists()


@functools.cache
def kvm_works() -> bool:
    """Boot a guest of seven bytes with KVM; whether it came to its end within PROBE_TIMEOUT. Asked once."""
    if platform.machine() != "x86_64" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    return probe(KVM)


def probe(accel: tuple[str, ...]) -> bool:
    """Whether a guest makes progress with these arguments of QEMU."""
    with tempfile.NamedTemporaryFile() as disk:
        disk.write(PROBE_GUEST.ljust(510, b"\0") + b"\x55\xaa")
        disk.flush()
        argv = [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-m", "16", *accel]
        argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        argv += ["-drive", f"file={disk.name},format=raw,snapshot=on"]
        try:
            done = subprocess.run(argv, capture_output=True, check=False, timeout=PROBE_TIMEOUT)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 2 * DONE + 1
