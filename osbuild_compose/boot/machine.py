"""A virtual machine that boots an image without changing it."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from osbuild_compose import firmware
from osbuild_compose.boot import accel, image
from osbuild_compose.boot.console import Console, MachineError
from osbuild_compose.errors import BuildError, HostError, InputError
from osbuild_compose.firmware import Firmware

SETTLE = 0.25  # seconds within which QEMU rejects wrong arguments
RETRY = 1.0  # seconds between attempts to reach a service that is not up yet
PORT_TRIES = 3
QUIT = 0.8  # seconds within which QEMU ends when it is asked to
DEFAULT_SECTOR = 512
SSH_FAILED = 255  # ssh's own failures, ssh(1); other statuses are the command's


@dataclass(frozen=True)
class Answer:
    """A web server's response: HTTP status and body."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Finished:
    """The result of a command in the machine: exit status and output."""

    status: int
    stdout: str
    stderr: str


class Machine:
    """QEMU with BIOS or UEFI, a virtio disk and a serial console, running inside a `with` block.

        with Machine(Path("web.qcow2"), ports=(22, 80)) as machine:
            machine.wait_for("login:", timeout=300)
            assert machine.http_get(80, "/").status == 200

    Writes go to a temporary file, never to the image. Ports are reachable on 127.0.0.1 only, and the machine has no
    outbound network unless `network` is set. A reboot ends it.
    """

    def __init__(
        self,
        disk: Path | None,
        *,
        ports: Iterable[int] = (),
        memory: int = 1024,
        cpus: int = 1,
        network: bool = False,
        bootfile: str = "",
        log: Path | None = None,
        firmware: Firmware = Firmware.BIOS,
        sector: int = DEFAULT_SECTOR,
        arguments: Iterable[str] = (),
    ) -> None:
        """Describe the machine; it starts with the `with` block.

        disk: None for a machine without one. ports: the machine's TCP ports to forward. memory: MiB. network: allow
        outbound connections; this host is 10.0.2.2 there. bootfile: the address that DHCP gives to iPXE in its network
        card. log: a file for a copy of the console. sector: the size of the disk's sectors in bytes. arguments:
        further arguments of QEMU.
        """
        self.disk = disk
        self.ports = tuple(ports)
        self.memory = memory
        self.cpus = cpus
        self.network = network
        self.bootfile = bootfile
        self.log = log
        self.firmware = firmware
        self.sector = sector
        self.arguments = tuple(arguments)
        self.forwards: dict[int, int] = {}
        """The port on 127.0.0.1 for each of `ports`, once started."""
        self._process: subprocess.Popen[bytes] | None = None
        self._console: Console | None = None
        self._variables: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def for_image(cls, disk: Path, *, firmware: Firmware | None = None, **options: Any) -> Self:
        """A machine for the image in the file `disk`, with the firmware and the sectors that it needs.

        firmware: another one.

        options are those of the constructor. Raises InputError for a file that is no disk image, HostError if the
        program that reads it is missing.
        """
        found = _examined(disk)
        return cls(disk, firmware=firmware or found.firmware, sector=found.sector, **options)

    def run_on_terminal(self) -> None:
        """Run the machine with its console on this terminal until it is switched off or the user leaves.

        Ctrl-C goes to the machine; QEMU's own keys begin with Ctrl-A. Raises HostError without QEMU or the firmware,
        BuildError if QEMU fails.
        """
        try:
            argv = self.command()
        except FileNotFoundError as error:
            raise HostError(str(error)) from None
        argv[argv.index("stdio")] = "mon:stdio"
        try:
            with _terminal_as_it_was(), subprocess.Popen(argv) as process:
                try:
                    status = process.wait()
                except BaseException:
                    _end(process)
                    raise
        except FileNotFoundError:
            raise HostError(accel.NOT_INSTALLED) from None
        if status:
            raise BuildError(f"QEMU ended with status {status}")

    def command(self) -> list[str]:
        """QEMU's command line, with the current `forwards`.

        The copy of UEFI's variables that it needs is removed when the machine is closed. Raises OSError and ValueError
        for an unreadable or unsupported image, FileNotFoundError if the firmware is missing.
        """
        net = "user,model=virtio-net-pci" + ("" if self.network else ",restrict=on")
        if self.bootfile:
            net += f",bootfile={self.bootfile.replace(',', ',,')}"
        for inside, outside in self.forwards.items():
            net += f",hostfwd=tcp:127.0.0.1:{outside}-:{inside}"
        argv = [*accel.bound()]  # a killed caller must not leave a machine behind
        argv += [accel.QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "std"]
        argv += [*accel.arguments(), "-m", str(self.memory), "-smp", str(self.cpus)]
        argv += ["-serial", "stdio", "-nic", net, "-device", "virtio-rng-pci"]
        return [*argv, *self._drive(), *self._firmware(), *self.arguments]

    def _drive(self) -> list[str]:
        """QEMU's arguments for the disk."""
        if self.disk is None:
            return []
        kind = image.format_of(self.disk)
        name = str(self.disk.absolute()).replace(",", ",,")
        interface = "virtio" if self.sector == DEFAULT_SECTOR else "none,id=disk"
        argv = ["-drive", f"file={name},format={kind},if={interface},snapshot=on,cache=unsafe"]
        if self.sector != DEFAULT_SECTOR:
            size = f"logical_block_size={self.sector},physical_block_size={self.sector}"
            argv += ["-device", f"virtio-blk-pci,drive=disk,{size}"]
        return argv

    def _firmware(self) -> list[str]:
        """QEMU's arguments for the firmware; its variables persist over the machine's reboots."""
        if self.firmware is Firmware.BIOS:
            return []
        if self._variables is None:
            self._variables = tempfile.TemporaryDirectory(prefix="compose-boot-")
        return firmware.arguments(self.firmware, Path(self._variables.name))

    def __enter__(self) -> Self:
        """Start the machine. Raises MachineError if QEMU is missing or fails, OSError if the image cannot be read."""
        if shutil.which(accel.QEMU) is None:
            raise MachineError(accel.NOT_INSTALLED)
        try:
            for left in reversed(range(PORT_TRIES)):
                self.forwards = dict(zip(self.ports, _free_ports(len(self.ports)), strict=True))
                if self._start(last=left == 0):
                    break
        except BaseException:
            self.close()
            raise
        return self

    def _start(self, *, last: bool) -> bool:
        """Start QEMU. Returns False if another process took a port in the meantime, unless this is the last attempt."""
        with tempfile.TemporaryFile() as complaints:
            process = subprocess.Popen(
                self.command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                start_new_session=True,
            )
            try:
                process.wait(SETTLE)
            except subprocess.TimeoutExpired:
                assert process.stdout is not None
                self._process, self._console = process, Console(process.stdout, self.log)
                return True
            complaints.seek(0)
            output = complaints.read().decode("utf-8", "replace").strip()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()
        if "forwarding rule" in output and not last:
            return False
        raise MachineError(f"QEMU exited at once with status {process.returncode}: {output}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the machine and all its processes, if they are still running."""
        if self._variables:
            self._variables.cleanup()
            self._variables = None
        if self._process is None or self._console is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._console.close()
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it exited before reading everything
            self._process.stdin.close()
        self._process = None

    @property
    def console(self) -> str:
        """Everything that the machine has printed on its serial console."""
        return self._console.text if self._console else ""

    @property
    def running(self) -> bool:
        """Whether QEMU is running."""
        return self._process is not None and self._process.poll() is None

    def wait_for(self, pattern: str, timeout: float = 300) -> re.Match[str]:
        """Wait at most `timeout` seconds for a regular expression on the console; returns the match.

        Only output after the previous match is searched. Raises MachineError on a timeout, when the machine stops, or
        when the system cannot come up (a kernel panic, an initramfs without a root).
        """
        if self._console is None:
            raise MachineError("the machine has not been started")
        return self._console.wait_for(pattern, timeout)

    def wait_for_end(self, timeout: float = 120) -> int:
        """Wait at most `timeout` seconds for the machine to power off; returns QEMU's exit status."""
        if self._process is None:
            raise MachineError("the machine has not been started")
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(f"the machine did not power off within {timeout:g} s", self.console) from None

    def send(self, text: str) -> None:
        r"""Type `text` on the serial console; end a line with "\n". Raises MachineError if the machine has stopped."""
        if self._process is None or self._process.stdin is None:
            raise MachineError("the machine is not running")
        try:
            self._process.stdin.write(text.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise MachineError("the machine has ended", self.console) from None

    def http_get(self, port: int, path: str = "/", timeout: float = 60) -> Answer:
        """Fetch http://<machine>:port/path, retrying until the server answers or `timeout` seconds have passed.

        port is one of the machine's `ports`. An HTTP error status is an answer too. Raises MachineError.
        """
        url = f"http://127.0.0.1:{self._outside(port)}{path}"
        deadline = time.monotonic() + timeout
        while True:
            try:
                with urllib.request.urlopen(url, timeout=max(RETRY, deadline - time.monotonic())) as reply:
                    return Answer(reply.status, reply.read())
            except urllib.error.HTTPError as error:
                with error:
                    return Answer(error.code, error.read())
            except (OSError, HTTPException) as error:
                self._try_again(deadline, f"no answer from port {port} in {timeout:g} s: {error}")

    def ssh(self, command: str, *, key: Path, user: str = "root", port: int = 22, timeout: float = 120) -> Finished:
        """Run a shell command in the machine through ssh with the private key in the file `key`.

        Retries until the server accepts the login; `timeout` (seconds) covers that and the command. A failing command
        is a status, not an exception. Raises MachineError.
        """
        argv = ["ssh", "-F", "none", "-i", str(key), "-p", str(self._outside(port))]
        for option in (
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "StrictHostKeyChecking=no",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "ConnectTimeout=20",
            "LogLevel=ERROR",
        ):
            argv += ["-o", option]
        argv += [f"{user}@127.0.0.1", command]
        deadline = time.monotonic() + timeout
        while True:
            try:
                done = subprocess.run(
                    argv,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    encoding="utf-8",
                    errors="replace",
                    check=False,
                    timeout=max(RETRY, deadline - time.monotonic()),
                )
            except FileNotFoundError:
                raise MachineError(
                    "ssh is not installed: it is in openssh-client (Debian), openssh-clients (Fedora)"
                ) from None
            except subprocess.TimeoutExpired:
                raise MachineError(f"'{command}' did not finish within {timeout:g} s", self.console) from None
            if done.returncode != SSH_FAILED:
                return Finished(done.returncode, done.stdout, done.stderr)
            self._try_again(deadline, f"ssh to port {port} failed for {timeout:g} s: {done.stderr.strip()}")

    def _outside(self, port: int) -> int:
        if port not in self.forwards:
            raise MachineError(f"port {port} is not forwarded: list it in `ports`")
        return self.forwards[port]

    def _try_again(self, deadline: float, message: str) -> None:
        """Pause before the next attempt. Raises MachineError if the time is up or the machine has stopped."""
        if not self.running:
            raise MachineError("the machine has ended", self.console)
        if time.monotonic() + RETRY > deadline:
            raise MachineError(message, self.console)
        time.sleep(RETRY)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask QEMU to end, which leaves the terminal as it was, and kill it if it does not."""
    process.terminate()
    try:
        process.wait(QUIT)
    except subprocess.TimeoutExpired:
        process.kill()


@contextlib.contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """Restore the mode of the terminal afterwards, which QEMU changes."""
    if not sys.stdin or not sys.stdin.isatty():
        yield
        return
    mode = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # this process may be in the background by now
        with contextlib.suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(sys.stdin, termios.TCSANOW, mode)
        signal.signal(signal.SIGTTOU, before)


def _examined(disk: Path) -> image.Disk:
    try:
        return image.disk_of(disk)
    except FileNotFoundError as error:
        if error.filename == "qemu-img":
            raise HostError(
                "qemu-img is not installed", hint="it is in the package qemu-utils (Debian) or qemu-img (Fedora)"
            ) from None
        raise InputError(f"cannot boot {disk}: {error.strerror}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot boot {disk}: {reason}") from None


def _free_ports(count: int) -> list[int]:
    """Different TCP ports of 127.0.0.1 that are not in use."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
