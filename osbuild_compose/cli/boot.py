"""`compose boot`: an image in QEMU, its console on the terminal."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose.boot import Firmware, Machine
from osbuild_compose.boot.image import Disk, disk_of
from osbuild_compose.errors import BuildError, HostError, InputError


def boot(image: Path, memory: int, cpus: int | None, ports: Sequence[str], firmware: Firmware | None) -> None:
    """Boot the image until the machine is switched off or the user leaves; the image stays as it is.

    memory is in MiB; cpus None means as many as are safe here; ports are "HOST:GUEST" texts; firmware None is what the
    image can be started by, BIOS when it is both. Raises InputError for a wrong port or image, HostError without QEMU
    or the firmware.
    """
    disk = _disk(image)
    machine = Machine(image, memory=memory, network=True, firmware=firmware or disk.firmware, sector=disk.sector)
    machine.cpus = cpus or machine.cpus
    machine.forwards = dict(_port(text) for text in ports)
    try:
        _run(machine)
    finally:
        machine.close()


def _disk(image: Path) -> Disk:
    try:
        return disk_of(image)
    except FileNotFoundError as error:
        if error.filename == "qemu-img":
            raise HostError("qemu-img is not installed", hint="it is in the package qemu-utils") from None
        raise InputError(f"cannot boot {image}: {error.strerror}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot boot {image}: {reason}") from None


def _run(machine: Machine) -> None:
    try:
        argv = machine.command()
    except FileNotFoundError as error:
        raise HostError(str(error)) from None
    argv[argv.index("stdio")] = "mon:stdio"  # QEMU's own keys, and Ctrl-C goes to the machine
    print(f"started by {machine.firmware}; the image stays as it is; Ctrl-A X ends the machine", file=sys.stderr)
    for inside, outside in machine.forwards.items():
        print(f"port {inside} is at 127.0.0.1:{outside}", file=sys.stderr)
    try:
        status = subprocess.run(argv, check=False).returncode
    except FileNotFoundError:
        raise HostError(f"{argv[0]} is not installed", hint="it is in the package qemu-system-x86") from None
    if status:
        raise BuildError(f"QEMU ended with status {status}")


def _port(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text, re.ASCII)
    if match is None or not all(0 < int(port) < 65536 for port in match.groups()):
        raise InputError(f"--port {text}: want HOST:GUEST, two numbers up to 65535", hint="for example: --port 8080:80")
    return int(match[2]), int(match[1])
