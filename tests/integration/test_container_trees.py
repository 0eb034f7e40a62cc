"""Images of containers, built: what is in them, and scripts that have the network."""

import json
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import REPO, store_of
from tests.integration.cli.commands import compose, fine
from tests.standin import standin

CASE = REPO / "tests/cases/container-has-kernel.yaml"
OF_MACHINES = (
    "boot/vmlinuz",
    "boot/initrd",
    "boot/grub",
    "etc/fstab",
    "sbin/init",
    "lib/modules",
    "etc/systemd/network",
)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="builds with root's store")


def built(blueprint: Path, out: Path, *more: str) -> dict[str, Path]:
    """The images of the blueprint, by their names."""
    done = compose("build", blueprint, "-o", out, "--store", store_of("root"), "--json", *more)
    assert done.returncode == 0, done.stderr
    found = [Path(name) for image in json.loads(done.stdout)["images"] for name in image["files"]]
    return {path.name: path for path in found}


def wanted(status: str) -> tuple[set[str], set[str]]:
    """The packages that a dpkg status has, and of these the Essential ones, apt, and what they need."""
    entries = [dict(re.findall(r"^(\S+): (.*)$", entry, re.MULTILINE)) for entry in status.split("\n\n") if entry]
    provided: dict[str, set[str]] = {}
    for entry in entries:
        for name in re.findall(r"([a-z0-9][a-z0-9+.-]+)(?: \([^)]*\))?", entry.get("Provides", "")):
            provided.setdefault(name, set()).add(entry["Package"])
    packages = {entry["Package"]: entry for entry in entries}
    todo = [name for name, entry in packages.items() if entry.get("Essential") == "yes"] + ["apt"]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        needs = ", ".join(packages[name].get(key, "") for key in ("Depends", "Pre-Depends"))
        for other in re.findall(r"(?:^|[,|] *)([a-z0-9][a-z0-9+.-]+)", needs):
            todo += {other} & packages.keys() or provided.get(other, set())
    return set(packages), found


def test_container_has_kernel(tmp_path: Path) -> None:
    """What mmdebstrap --variant=apt has and nothing else."""
    images = built(CASE, tmp_path, "--format", "oci-archive", "--format", "tar")
    with tarfile.open(images["mini.tar"]) as tree:
        names = [name.removeprefix("./") for name in tree.getnames()]
        status = tree.extractfile("./var/lib/dpkg/status")
        assert status
        packages, needed = wanted(status.read().decode())
    assert packages == needed
    assert len(packages) > 60
    assert not [name for name in names if name.startswith(OF_MACHINES)]
    with tarfile.open(images["mini.oci.tar"]) as archive:
        blobs = [archive.extractfile(member) for member in archive.getmembers() if member.name.startswith("blobs/")]
        configs = [data for blob in blobs if blob and (data := blob.read(1 << 20)).startswith(b'{"architecture"')]
    assert [json.loads(config)["config"]["Cmd"] for config in configs] == [["/bin/bash"]]


def test_a_container_of_fedora(tmp_path: Path) -> None:
    """Its package manager, a user, and nothing that boots; in the stand-in, dnf's dependencies lead to systemd."""
    blueprint = tmp_path / "fedora.yaml"
    blueprint.write_text(
        "name: fedora\ndistro: standin-30\nexclude: [glibc-minimal-langpack]\nusers: [{name: joe}]\nformats: [tar]\n"
    )
    with standin("containers") as repository:
        (tmp_path / "key.asc").write_text(repository.key)
        more = ["--templates", str(REPO / "tests/boot/standin_templates")]
        more += [
            "--repo",
            f"standin={repository.url}/metalink?repo=fedora-$releasever&arch=$basearch",
            "--repo-key",
            str(tmp_path / "key.asc"),
        ]
        image = built(blueprint, tmp_path, *more)["fedora.tar"]
    with tarfile.open(image) as tree:
        names = {name.removeprefix("./") for name in tree.getnames()}
        accounts = tree.extractfile("./etc/passwd")
        assert accounts
        assert b"\njoe:x:1000:" in accounts.read()
    assert {"usr/bin/dnf", "usr/bin/bash", "usr/bin/rpm", "etc/fedora-release"} <= names
    assert not names & {"usr/sbin/NetworkManager", "usr/bin/dracut", "usr/sbin/grub2-install", "etc/selinux/config"}
    assert not [name for name in names if name.startswith((*OF_MACHINES[:-1], "usr/lib/modules/"))]


SCRIPT = """\
#!/usr/bin/perl
use IO::Socket::INET;
my $http = IO::Socket::INET->new("localhost:PORT") or die "no network: $!\\n";
print $http "GET / HTTP/1.0\\r\\n\\r\\n";
my @lines = <$http>;
open(my $out, ">", "/srv/fetched");
print $out $lines[-1];
system("cp /etc/resolv.conf /srv/resolv.conf");
"""


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a web server on this machine."""

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_script_has_the_network_if_it_is_given(tmp_path: Path, port: int) -> None:
    script = SCRIPT.replace("PORT", str(port))
    text = "name: fetch\ndistro: debian-12\nformats: [tar]\npackages: [ca-certificates]\nscripts:\n- content: |\n"
    text += "".join(f"    {line}\n" for line in script.splitlines())
    blueprint = tmp_path / "fetch.yaml"
    blueprint.write_text(text)
    refused = compose("build", blueprint, "-o", tmp_path, "--store", store_of("root"))
    assert refused.returncode == 1
    assert "no network: " in refused.stderr
    blueprint.write_text(text + "  network: true\n")
    planned = compose("plan", blueprint, "--store", store_of("root"))
    assert "fetch.yaml:15:12: warning: this script has the network: the image is not reproducible" in planned.stderr
    assert "run a script that has the network" in planned.stdout
    image = built(blueprint, tmp_path)["fetch.tar"]
    with tarfile.open(image) as tree:
        fetched, resolver = (tree.extractfile(f"./srv/{name}") for name in ("fetched", "resolv.conf"))
        assert fetched
        assert fetched.read() == b"hello"
        if Path("/etc/resolv.conf").exists():
            assert resolver
            assert resolver.read() == Path("/etc/resolv.conf").read_bytes()
        assert "./etc/resolv.conf" not in tree.getnames()
    assert re.search(r"reproducible: +no: a script had the network", fine("inspect", image))
