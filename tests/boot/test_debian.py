"""The Debian samples, built as root and as an ordinary user, and booted: they are what their blueprints say."""

import filecmp
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from osbuild_compose.boot import Machine
from tests.boot.conftest import PATIENCE, Built
from tests.conftest import make_account

Build = Callable[[str, str], Built]
PAGE = "<!DOCTYPE html>\n<title>web</title>\n<p>Made by osbuild-compose.</p>\n"
# Each line prints one fact; a test compares them all at once, so that one boot shows everything that is wrong.
FACTS = """
systemctl is-system-running --wait
hostname
readlink /etc/localtime
. /etc/default/locale; echo $LANG
locale -a | grep -c en_US.utf8
sudo -n id -un
id -Gn
systemctl is-enabled nginx
systemctl is-active ssh
stat -c '%a %U:%G' /etc/sudoers.d/admin
sudo -n dpkg --audit | wc -l
test -s /etc/machine-id && echo has-id
ls /etc/ssh/ssh_host_*_key | wc -l
ls /var/lib/apt/lists | grep -c Packages
systemctl --failed --no-legend | wc -l
sudo -n journalctl -b --no-pager | grep -c 'Unable to open env file'
sudo -n grep -c clean /run/initramfs/fsck.log
findmnt -no FSTYPE /
sudo -n stat -c '%a %U %n' /usr/lib/osbuild-compose/*
. /etc/os-release; echo release $VERSION_ID
"""
EXPECTED = """running
web
../usr/share/zoneinfo/Europe/Prague
en_US.UTF-8
1
root
admin sudo
enabled
active
440 root:root
0
has-id
3
0
0
0
1
ext4
600 root /usr/lib/osbuild-compose/blueprint.json
600 root /usr/lib/osbuild-compose/build.json
release {release}
"""


def check(machine: Machine, built: Built, release: str) -> None:
    """Fail unless the web server serves, and the system is what its blueprint says."""
    machine.wait_for(r"web login:", timeout=PATIENCE)
    answer = machine.http_get(80, "/", timeout=PATIENCE)
    assert (answer.status, answer.body.decode()) == (200, PAGE)
    facts = machine.ssh(FACTS, key=built.key, user="admin", timeout=PATIENCE)
    assert facts.stdout == EXPECTED.format(release=release), facts.stderr
    assert "fsck not present" not in machine.console


def test_the_web_server_serves_and_updates_its_own_boot_menu(build: Build, tmp_path: Path) -> None:
    """update-grub, which a kernel update runs, finds the disk and keeps the blueprint's kernel options; that starts."""
    built = build("root", "debian-web-server")
    arguments = ("-action", "reboot=reset")
    with Machine(built.image, ports=(22, 80), arguments=arguments, log=tmp_path / "console.log") as machine:
        check(machine, built, "12")
        update = machine.ssh(
            "sudo -n update-grub 2>&1; sudo -n grep -m1 'linux.*root=' /boot/grub/grub.cfg",
            key=built.key,
            user="admin",
            timeout=PATIENCE,
        )
        assert update.status == 0, update.stdout
        assert "console=ttyS0" in update.stdout
        machine.ssh("sudo -n systemctl reboot", key=built.key, user="admin", timeout=PATIENCE)
        machine.wait_for(r"web login:", timeout=PATIENCE)
        command = "cat /proc/cmdline; sudo -n findmnt -no UUID /"
        started = machine.ssh(command, key=built.key, user="admin", timeout=PATIENCE).stdout.split()
        assert f"root=UUID={started[-1]}" in started
        assert "console=ttyS0" in started


def test_the_web_server_of_debian_13_serves(build: Build, tmp_path: Path) -> None:
    built = build("root", "debian-13-web-server")
    with Machine(built.image, ports=(22, 80), log=tmp_path / "console.log") as machine:
        check(machine, built, "13")


def test_roots_image_and_a_users_are_the_same_bytes(build: Build) -> None:
    """They have a store each, so neither has anything from the other; root's is booted, for both."""
    images = [build(kind, "debian-web-server").image for kind in ("root", "user")]
    assert filecmp.cmp(*images, shallow=False)


@pytest.mark.parametrize("account_kind", ["root", "user"])
def test_inspecting_the_image_tells_what_the_blueprint_says(
    build: Build, scratch_room: Path, installed: Path, account_kind: str
) -> None:
    built = build(account_kind, "debian-web-server")
    done = make_account(account_kind, scratch_room, installed).compose("inspect", built.image, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["notes"] == []
    assert [one["mount_point"] for one in document["file_systems"]] == ["/boot/efi", "/"]
    loaders = {(one["type"], one["firmware"], one["signed"]) for one in document["boot"]["loaders"]}
    assert {("grub", "bios", None), ("shim", "uefi", True), ("grub", "uefi", True)} <= loaders
    (entry,) = document["boot"]["entries"]
    assert entry["options"].endswith("ro console=tty0 console=ttyS0")
    system = document["system"]
    assert (system["os_release"]["VERSION_ID"], system["hostname"]) == ("12", "web")
    assert {"nginx", "openssh-server", "sudo"} <= {one["name"] for one in system["packages"]["installed"]}
    admin = next(one for one in system["users"] if one["name"] == "admin")
    assert (admin["groups"], admin["password"], admin["ssh_keys"]) == (["admin", "sudo"], "locked", 1)
    assert {"nginx.service", "ssh.service"} <= {one["unit"] for one in system["services"]["enabled"]}
    assert document["provenance"]["blueprint"]["packages"] == ["nginx", "openssh-server", "sudo"]
    assert len(document["provenance"]["build"]["tree_id"]) == 64
