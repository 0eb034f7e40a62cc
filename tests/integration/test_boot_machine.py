"""The boot harness with real QEMU and the smallest guest there is: a boot sector."""

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from osbuild_compose.boot import Machine, MachineError, accel

MESSAGE = b"hello from the boot sector\r\nlogin: "


def boot_sector() -> bytes:
    """Writes itself to the second sector, says MESSAGE on the serial port, then echoes what it gets; q resets."""
    start = bytes.fromhex("fc 31c0 8ed8 8ec0 bb007c b90200 b600 b80103 cd13")  # int 13h: write one sector
    loop = bytes.fromhex("ac 84c0 7406 baf803 ee ebf5")  # each character to port 3f8
    # Wait for a character (3fd: line status); q resets by port 64, all others are sent back when the line is free.
    echo = bytes.fromhex("bafd03 ec a801 74fb baf803 ec 3c71 7412 88c3 bafd03 ec a820 74fb 88d8 baf803 ee ebde")
    echo += bytes.fromhex("b0fe e664 f4")
    text = 0x7C00 + len(start) + 3 + len(loop) + len(echo)
    code = start + b"\xbe" + text.to_bytes(2, "little") + loop + echo + MESSAGE + b"\0"
    return code.ljust(510, b"\0") + b"\x55\xaa"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "a, b.img"
    path.write_bytes(boot_sector().ljust(1 << 20, b"\0"))
    return path


def running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_console_can_be_read_written_and_logged(disk: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Machine(disk, memory=32, log=log) as machine:
        assert machine.wait_for(r"hello from the (\w+) sector", 30)[1] == "boot"
        machine.wait_for("^login:", 30)
        machine.send("root\n")
        machine.wait_for("root", 30)
        assert machine.running
    assert not machine.running
    assert log.read_bytes().startswith(MESSAGE)
    assert "hello" in machine.console


def test_image_is_never_changed(disk: Path) -> None:
    before = disk.read_bytes()
    with Machine(disk, memory=32) as machine:
        machine.wait_for("login", 300)
    assert disk.read_bytes() == before


def test_every_format_boots(disk: Path, tmp_path: Path) -> None:
    for kind in ("qcow2", "vmdk", "vdi", "vhdx", "vpc"):
        image = tmp_path / kind
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, disk, image], check=True)
        with Machine(image, memory=32) as machine:
            machine.wait_for("login", 300)


def test_waiting_in_vain_shows_the_console(disk: Path) -> None:
    with Machine(disk, memory=32) as machine:
        machine.wait_for("login:", 300)
        with pytest.raises(
            MachineError, match=r"'such text' did not show up in 1 s\n    \| hello from the boot sector"
        ):
            machine.wait_for("such text", 1)


def test_a_machine_that_ends_is_reported_at_once(disk: Path) -> None:
    with Machine(disk, memory=32) as machine:
        machine.wait_for("login", 300)
        machine.send("q")
        start = time.monotonic()
        with pytest.raises(MachineError, match="the machine has ended"):
            machine.wait_for("anything", 60)
        assert time.monotonic() - start < 30
        assert machine.wait_for_end() == 0
        with pytest.raises(MachineError, match="has ended"):
            machine.send("x" * 100000)


def test_ports_are_forwarded_each_to_its_own(disk: Path) -> None:
    with Machine(disk, memory=32, ports=(22, 80)) as one, Machine(disk, memory=32, ports=(80,)) as other:
        assert len({*one.forwards.values(), *other.forwards.values()}) == 3
        with pytest.raises(MachineError, match="no answer from port 80"):
            one.http_get(80, timeout=2)
        with pytest.raises(MachineError, match=r"ssh to port 22 failed|did not finish"):
            one.ssh("true", key=Path("/nonexistent"), timeout=3)
        with pytest.raises(MachineError, match="port 443 is not forwarded"):
            one.http_get(443)


def test_http_get(disk: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/" else 404)
            self.end_headers()
            self.wfile.write(b"hello")

    # The guest has no network: a server of the host's stands where its port would be forwarded.
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server, Machine(disk, memory=32) as machine:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        machine.forwards[80] = server.server_port
        assert machine.http_get(80).body == b"hello"
        assert machine.http_get(80, "/nothing").status == 404
        server.shutdown()


def test_refused_arguments_are_shown(disk: Path) -> None:
    with pytest.raises(MachineError, match=r"QEMU exited at once with status 1: .*no-such-device"):
        Machine(disk, arguments=["-device", "no-such-device"]).__enter__()


def test_qemu_does_not_outlive_a_killed_caller(disk: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from osbuild_compose.boot import Machine\n"
        f"with Machine(Path({str(disk)!r}), memory=32) as machine:\n"
        "    machine.wait_for('login', 300); print(machine._process.pid, flush=True); time.sleep(600)\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    pid = int(caller.stdout.readline())
    assert running(pid)
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    caller.stdout.close()
    deadline = time.monotonic() + 60
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not running(pid)


def test_probe_guest_ends_where_emulation_works() -> None:
    assert accel.probe(accel.TCG)
    assert not accel.probe(("-accel", "no-such-accelerator"))
