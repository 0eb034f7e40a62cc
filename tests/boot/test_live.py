"""Live systems start: from a disc, a USB stick and over a network; one build makes disc and network system."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from osbuild_compose.boot import Firmware, Machine
from tests.boot.conftest import PATIENCE
from tests.conftest import REPO, make_account
from tests.standin import Standin
from tests.standin_extra import extra

MINIMAL = REPO / "blueprints/debian-minimal.yaml"
MORE = """
packages: [nginx, ssl-cert]
files: [{path: /var/www/html/index.html, content: alive}]
symlinks: [{path: /var/www/html/certificate, target: /etc/ssl/certs/ssl-cert-snakeoil.pem}]
formats: [iso, pxe]
"""
# With what starts slowly left off; glibc-minimal-langpack is not in the stand-in repository.
FEDORA = """
packages: [httpd]
selinux: permissive
services: {enabled: [httpd], disabled: [firewalld, sshd]}
files: [{path: /var/www/html/index.html, content: alive}]
exclude: [glibc-minimal-langpack]
formats: [iso, pxe]
"""
HOST = "10.0.2.2"  # this machine, as the guest sees it


@pytest.fixture(scope="module")
def images(scratch_room: Path, installed: Path) -> Path:
    """The directory with live.iso and live.pxe.tar."""
    account = make_account("root", scratch_room, installed)
    blueprint = account.home / "live.yaml"
    blueprint.write_text(MINIMAL.read_text().split("disk:")[0].replace("name: debian-minimal", "name: live") + MORE)
    done = account.compose("build", blueprint, "-o", account.home / "images", "--store", account.store)
    assert done.returncode == 0, done.stderr
    return account.home / "images"


@pytest.fixture(scope="module")
def fedora(repository: Standin, for_uefi: tuple[str, str], scratch_room: Path, installed: Path) -> Path:
    """The directory with fedora.iso and fedora.pxe.tar."""
    account = make_account("root", scratch_room, installed)
    place = account.home / "live"
    place.mkdir()
    text = MINIMAL.read_text().split("disk:")[0].replace("debian-minimal", "fedora").replace("debian-12", "standin-30")
    (place / "fedora.yaml").write_text(text + FEDORA)
    (place / "standin.asc").write_text(repository.key)
    with extra("boot-extra") as url:
        (place / "all.repo").write_text(
            f"[standin]\nmetalink={repository.url}/metalink?repo=fedora-$releasever&arch=$basearch\n"
            f"gpgkey={place}/standin.asc\n"
            f"[extra]\nbaseurl={url}\ngpgcheck=0\n[efi]\nbaseurl={for_uefi[0]}\ngpgcheck=0\n"
        )
        done = account.compose(
            *("build", place / "fedora.yaml", "-o", account.home / "images", "--store", account.store),
            *("--repo", place / "all.repo"),
            *("--templates", Path(__file__).parent / "standin_templates"),
        )
    assert done.returncode == 0, done.stderr
    return account.home / "images"


@pytest.fixture(scope="module")
def certificates() -> set[bytes]:
    """Those that machines with Debian's live system have made for themselves."""
    return set()


def check(machine: Machine, certificates: set[bytes] | None = None) -> None:
    """Fail unless the system runs and serves its page; and its own certificate, which is none of the `certificates`."""
    machine.wait_for("minimal login:", timeout=PATIENCE)
    answer = machine.http_get(80, timeout=PATIENCE)
    assert (answer.status, answer.body) == (200, b"alive")
    if certificates is not None:
        answer = machine.http_get(80, "/certificate", timeout=PATIENCE)
        assert answer.status == 200
        assert answer.body.startswith(b"-----BEGIN CERTIFICATE-----")
        assert answer.body not in certificates
        certificates.add(answer.body)
    machine.send("root\n")
    machine.wait_for("Password:", timeout=PATIENCE)
    machine.send("minimal\n")
    machine.wait_for("root@minimal", timeout=PATIENCE)
    machine.send("systemctl is-system-running --wait; findmnt -no FSTYPE /; findmnt -rno FSTYPE -S /dev/loop0\n")
    for line in ("running", "overlay", "squashfs"):
        machine.wait_for(line, timeout=PATIENCE)
    machine.send("poweroff\n")
    machine.wait_for_end(PATIENCE)


def test_a_usb_stick_starts_by_uefi(images: Path, tmp_path: Path, certificates: set[bytes]) -> None:
    """The kernel finds the stick only with drivers for USB, which Debian's kernel for clouds lacks."""
    stick = f"file={images / 'live.iso'},format=raw,if=none,id=stick,readonly=on"
    usb = ("-drive", stick, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick")
    with Machine(None, ports=(80,), firmware=Firmware.UEFI, log=tmp_path / "console", arguments=usb) as machine:
        check(machine, certificates)


@pytest.mark.parametrize("firmware", [Firmware.BIOS, Firmware.UEFI])
def test_fedoras_disc_starts(fedora: Path, tmp_path: Path, firmware: Firmware) -> None:
    with Machine(fedora / "fedora.iso", ports=(80,), firmware=firmware, log=tmp_path / "console") as machine:
        check(machine)


def test_the_network_system_starts_from_a_web_server(images: Path, tmp_path: Path, certificates: set[bytes]) -> None:
    check_network(images / "live.pxe.tar", tmp_path, certificates=certificates)


def test_fedoras_network_system_starts_from_a_web_server(fedora: Path, tmp_path: Path) -> None:
    check_network(fedora / "fedora.pxe.tar", tmp_path, memory=2048)


def check_network(archive: Path, work: Path, memory: int = 1024, certificates: set[bytes] | None = None) -> None:
    web = work / "web"
    web.mkdir()
    subprocess.run(["tar", "-xf", archive, "-C", web], check=True)
    with serving(web) as address:
        # QEMU's iPXE may be one that does not know where a script comes from.
        (web / "start.ipxe").write_text(f"#!ipxe\nset base {address}\nchain boot.ipxe\n")
        start = f"{address}/start.ipxe"
        log = work / "console"
        with Machine(None, ports=(80,), memory=memory, network=True, bootfile=start, log=log) as machine:
            check(machine, certificates)


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """A web server on this machine that serves the directory to guests; gives its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
