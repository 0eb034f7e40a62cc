"""Choosing between KVM and emulation, by a probe: a /dev/kvm that can be opened does not mean that guests run."""

import functools
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

QEMU = "qemu-system-x86_64"
PACKAGES = {"deb": "qemu-system-x86", "rpm": "qemu-system-x86-core"}  # that it is in, by families of packages
NOT_INSTALLED = f"{QEMU} is not installed: it is in {PACKAGES['deb']} (Debian) or {PACKAGES['rpm']} (Fedora)"
KVM = ("-accel", "kvm", "-cpu", "host")
# Without the fifth level of page tables (la57), which a kernel uses wherever it is there and which makes every walk
# through them longer.
TCG = ("-accel", "tcg,thread=multi", "-cpu", "max,-la57")
# Before QEMU 8.0 an interrupt after the instruction cmpxchg16b corrupts the flags; Linux 6.12 (Debian 13) uses
# it in kmalloc and panics sooner or later. Neither the kernel nor distributions for plain x86-64 need it. Those for
# x86-64-v2 (RHEL 9) do: pass the arguments "-cpu", "max" to boot them.
TCG_BEFORE_8 = ("-accel", "tcg,thread=multi", "-cpu", "max,-la57,-cx16")

VARIABLE = "COMPOSE_ACCEL"
PROBE_TIMEOUT = 5.0  # seconds; with a working KVM half a second is enough
DONE = 0x2A

# mov dx, 0xf4; mov al, DONE; out dx, al; hlt: the device isa-debug-exit ends QEMU with status 2 * DONE + 1.
PROBE_GUEST = bytes([0xBA, 0xF4, 0x00, 0xB0, DONE, 0xEE, 0xF4])


def arguments(environ: Mapping[str, str] = os.environ, sys_module: Path = Path("/sys/module")) -> tuple[str, ...]:
    """QEMU's arguments for the fastest accelerator that works on this machine.

    COMPOSE_ACCEL=kvm or tcg in `environ` forces one; otherwise KVM is used only if the probe succeeds. Raises
    ValueError for any other value.
    """
    forced = environ.get(VARIABLE)
    if forced not in (None, "", "kvm", "tcg"):
        raise ValueError(f"{VARIABLE} is '{forced}': it can be kvm or tcg")
    if forced:
        return KVM if forced == "kvm" else tcg()
    return KVM if hardware_kvm(sys_module) and kvm_works() else tcg()


def bound() -> list[str]:
    """The beginning of a command line whose program is killed when the thread that started it ends, if possible."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


def tcg() -> tuple[str, ...]:
    """QEMU's arguments for emulation."""
    return TCG_BEFORE_8 if qemu_version() < (8, 0) else TCG


@functools.cache
def qemu_version() -> tuple[int, int]:
    """QEMU's version, cached; (0, 0) if it is not installed or prints none."""
    try:
        printed = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return (0, 0)
    found = re.search(r"version (\d+)\.(\d+)", printed)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def hardware_kvm(sys_module: Path) -> bool:
    """Whether KVM uses the processor's own virtualisation (VMX, SVM).

    kvm_pvm does not: firmware and boot loaders run on it, but Linux guests spin for ever, which no small probe can
    detect.
    """
    if (sys_module / "kvm_pvm").exists():
        return False
    return (sys_module / "kvm_intel").exists() or (sys_module / "kvm_amd").exists()


@functools.cache
def kvm_works() -> bool:
    """Whether a guest of seven bytes finishes within PROBE_TIMEOUT under KVM; the result is cached."""
    if platform.machine() != "x86_64" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    return probe(KVM)


def probe(accel: tuple[str, ...]) -> bool:
    """Whether a guest finishes with these QEMU arguments."""
    with tempfile.NamedTemporaryFile() as disk:
        disk.write(PROBE_GUEST.ljust(510, b"\0") + b"\x55\xaa")
        disk.flush()
        argv = [*bound(), QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-m", "16", *accel]
        argv += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        argv += ["-drive", f"file={disk.name},format=raw,snapshot=on"]
        try:
            done = subprocess.run(argv, capture_output=True, check=False, timeout=PROBE_TIMEOUT)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 2 * DONE + 1
