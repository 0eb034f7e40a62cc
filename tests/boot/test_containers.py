"""What only shows in a system that runs: a container from a registry, and a script that the first boot runs, once."""

import shutil
import subprocess
from pathlib import Path

import pytest

from osbuild_compose.boot import Machine
from tests.boot.conftest import PATIENCE
from tests.conftest import make_account
from tests.integration.container_images import oci_archive, push, registry

BLUEPRINT = """
name: containers
distro: debian-12
packages: [podman]
hostname: containers
users: [{name: root, password: minimal}]
kernel: {package: linux-image-cloud-amd64, append: "console=ttyS0"}  # small, as QEMU needs no other
containers:
  - {name: "registry.example.org/team/hello:1", url: "docker://HOST/team/hello:1@DIGEST", tls_verify: false}
first_boot:
  - name: greet
    content: |
      podman run --rm --network=none registry.example.org/team/hello:1 >> /var/lib/greeting
  - name: fails
    content: |
      echo tried >> /var/lib/attempts
      exit 1
formats: [raw]
"""
ASK = """
systemctl is-system-running --wait
podman image exists registry.example.org/team/hello:1 && echo image-is-there
cat /var/lib/greeting
systemctl start compose-first-boot-greet compose-first-boot-fails
wc -l < /var/lib/greeting
wc -l < /var/lib/attempts
podman ps --all --quiet | wc -l
"""

pytestmark = [
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed"),
]


def program(path: str) -> dict[str, bytes]:
    """A program of this machine with the libraries that it needs, as files of an image."""
    told = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    libraries = [word for line in told.splitlines() for word in line.split() if word.startswith("/")]
    return {name.lstrip("/"): Path(name).read_bytes() for name in (path, *libraries)}


def test_a_container_runs_at_the_first_boot(scratch_room: Path, installed: Path, tmp_path: Path) -> None:
    account = make_account("root", scratch_room, installed)
    command = ("/bin/sh", "-c", "echo hello from a container, process $$")
    archive = oci_archive(tmp_path / "hello.tar", program("/bin/sh"), command=command)
    blueprint = account.home / "containers.yaml"
    with registry(tmp_path / "registry") as host:
        digest = push(archive, f"{host}/team/hello:1")
        blueprint.write_text(BLUEPRINT.replace("HOST", host).replace("DIGEST", digest))
        done = account.compose("build", blueprint, "-o", account.home / "images", "--store", account.store)
        assert done.returncode == 0, done.stderr
    with Machine(account.home / "images/containers.raw", log=tmp_path / "console") as machine:
        machine.wait_for(r"containers login:", timeout=PATIENCE)
        machine.send("root\n")
        machine.wait_for(r"Password:", timeout=PATIENCE)
        machine.send("minimal\n")
        machine.wait_for(r"root@containers", timeout=PATIENCE)
        machine.send("; ".join(ASK.strip().splitlines()) + "\n")
        machine.wait_for("degraded", timeout=PATIENCE)  # by the script that fails, which is to be seen
        machine.wait_for("image-is-there", timeout=PATIENCE)
        machine.wait_for("hello from a container, process 1", timeout=PATIENCE)
        machine.wait_for(r"\n1\r?\n2\r?\n0\r?\n", timeout=PATIENCE)  # once; tried again; nothing is left of it
        machine.send("poweroff\n")
        machine.wait_for_end(PATIENCE)
