"""The Fedora sample, built from the stand-in repository as root (only root can set SELinux labels), and booted."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from osbuild_compose.boot import Machine
from tests.boot.conftest import SAMPLE_KEY
from tests.conftest import REPO, make_account
from tests.standin import Standin, standin

PAGE = "<!DOCTYPE html>\n<title>web</title>\n<p>Made by osbuild-compose.</p>\n"
# What the stand-in is not like Fedora in: it calls itself release 30 (standin_templates/), has no package
# glibc-minimal-langpack, its kernel wants to be told to use SELinux, and its policy fits its paths only partly.
DIFFERENCES = [
    "distro=standin-30",
    "exclude=[glibc-minimal-langpack]",
    "kernel.append=console=tty0 console=ttyS0 security=selinux selinux=1",
    "selinux=permissive",
]
# Each line prints one fact; the test compares them all at once, so that one boot shows everything that is wrong.
# Files that the image changes on purpose, and the audit log, whose mode auditd changes, are not what rpm remembers.
FACTS = """
systemctl is-system-running --wait
hostname
readlink /etc/localtime
. /etc/locale.conf; echo $LANG
sudo -n id -un
id -Gn
systemctl is-enabled httpd
systemctl is-active httpd firewalld sshd
sudo -n firewall-cmd --list-services
stat -c '%a %U:%G' /etc/sudoers.d/admin
sudo -n rpm -Va --nomtime | grep -v -e ' c ' -e /var/log/audit
sudo -n rpm -q httpd kernel-core --qf '%{name}\\n'
sudo -n sh -c 'cat /boot/loader/entries/*.conf' | grep -c ^linux
grep -c 'root=UUID=.* console=ttyS0' /proc/cmdline
sudo -n sestatus | sed -n 's/Current mode: *//p'
stat -c %C /var/www/html/index.html /usr/sbin/sshd
test -s /etc/machine-id && echo has-id
ls /etc/ssh/ssh_host_*_key | wc -l
sudo -n find /var/cache/dnf /var/log/dnf.log -type f | wc -l
systemctl --failed --no-legend | wc -l
findmnt -no FSTYPE /
"""
EXPECTED = """running
web
../usr/share/zoneinfo/Europe/Prague
en_US.UTF-8
root
admin wheel
enabled
active
active
active
dhcpv6-client http ssh
440 root:root
httpd
kernel-core
1
1
permissive
system_u:object_r:httpd_sys_content_t:s0
system_u:object_r:sshd_exec_t:s0
has-id
3
0
0
ext4
"""


@pytest.fixture(scope="module")
def repository() -> Iterator[Standin]:
    """The stand-in repository, served on loopback."""
    with standin() as served:
        yield served


def test_the_web_server_serves(
    repository: Standin, scratch_room: Path, installed: Path, key_pair: Path, tmp_path: Path
) -> None:
    account = make_account("root", scratch_room, installed)
    text = (REPO / "blueprints/fedora-web-server.yaml").read_text()
    blueprint = account.home / "fedora.yaml"
    blueprint.write_text(SAMPLE_KEY.sub(key_pair.with_suffix(".pub").read_text().strip(), text))
    blueprint.chmod(0o644)
    (account.home / "standin.asc").write_text(repository.key)
    shutil.copytree(Path(__file__).parent / "standin_templates", account.home / "templates")
    settings = [part for setting in DIFFERENCES for part in ("--set", setting)]
    done = account.compose(
        *("build", blueprint, "-o", account.home / "images", "--templates", account.home / "templates", *settings),
        *("--repo", f"standin={repository.url}/metalink?repo=fedora-$releasever&arch=$basearch"),
        *("--repo-key", account.home / "standin.asc"),
    )
    assert done.returncode == 0, done.stderr
    image = account.home / "images/fedora-web-server.qcow2"
    assert done.stdout.split() == [str(image)]
    with Machine(image, ports=(22, 80), log=tmp_path / "console.log") as machine:
        machine.wait_for(r"web login:", timeout=400)
        answer = machine.http_get(80, "/")
        assert (answer.status, answer.body.decode()) == (200, PAGE)
        told = machine.ssh(FACTS, key=key_pair, user="admin", timeout=400)
        assert told.stdout == EXPECTED, told.stderr
