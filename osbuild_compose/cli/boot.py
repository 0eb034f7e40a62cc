"""`compose boot`: an image in QEMU, its console on the terminal."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose import signals
from osbuild_compose.boot import Firmware, Machine
from osbuild_compose.errors import InputError


def boot(image: Path, memory: int, cpus: int | None, ports: Sequence[str], firmware: Firmware | None) -> None:
    """Boot the image until the machine is switched off or the user leaves; the image is not changed.

    memory is in MiB; cpus None means the default; ports are "HOST:GUEST" texts; firmware None means what the image
    boots with, BIOS if it is for both. Raises InputError for a wrong port or image, HostError without QEMU or the
    firmware, BuildError if QEMU fails.
    """
    forwards = dict(_port(text) for text in ports)
    with signals.tidied():
        machine = Machine.for_image(image, firmware=firmware, memory=memory, network=True)
        machine.cpus = cpus or machine.cpus
        machine.forwards = forwards
        print(f"started by {machine.firmware}; the image stays as it is; Ctrl-A X ends the machine", file=sys.stderr)
        for inside, outside in machine.forwards.items():
            print(f"port {inside} is at 127.0.0.1:{outside}", file=sys.stderr)
        try:
            machine.run_on_terminal()
        finally:
            machine.close()


def _port(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5}):(\d{1,5})", text, re.ASCII)
    if match is None or not all(0 < int(port) < 65536 for port in match.groups()):
        raise InputError(f"--port {text}: want HOST:GUEST, two numbers up to 65535", hint="for example: --port 8080:80")
    return int(match[2]), int(match[1])
