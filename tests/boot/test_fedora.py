"""The Fedora sample, built from the stand-in repository as root and as an ordinary user, booted by BIOS and by UEFI."""

import filecmp
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from osbuild_compose.boot import Firmware, Machine
from tests.boot.conftest import PATIENCE, SAMPLE_KEY
from tests.conftest import REPO, Account, make_account
from tests.standin import Standin

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
# What the way of starting may change: asked after either.
STARTED = """
systemctl is-system-running --wait
hostname
systemctl is-active httpd firewalld sshd
sudo -n sh -c 'cat /boot/loader/entries/*.conf' | grep -c ^linux
grep -c 'root=UUID=.* console=ttyS0' /proc/cmdline
sudo -n sestatus | sed -n 's/Current mode: *//p'
systemctl --failed --no-legend --plain
findmnt -no FSTYPE /
sudo -n findmnt -no FSTYPE /boot/efi
test -d /sys/firmware/efi && echo by uefi || echo by bios
"""
EXPECTED_STARTED = """running
web
active
active
active
1
1
permissive
ext4
vfat
by {firmware}
"""
# What the image has in it, however it is started: asked once, of an image that is known to be the other, too.
# rpm -Va tells of times, too. What it may find: the settings of GRUB, which have the blueprint's kernel options in
# them, and the directory of logs that auditd changes when it starts. /usr/share and /usr/lib are left out of what
# restorecon looks at since that takes minutes; /etc/.pwd.lock is made when the system starts.
FACTS = """
readlink /etc/localtime
. /etc/locale.conf; echo $LANG
sudo -n id -un
id -Gn
systemctl is-enabled httpd
sudo -n firewall-cmd --list-services
stat -c '%a %U:%G' /etc/sudoers.d/admin
sudo -n rpm -Va
sudo -n restorecon -xnvR /boot /etc /home /opt /root /srv /usr/bin /usr/sbin /var > /tmp/told && echo looked at labels
grep -v '/etc/.pwd.lock' /tmp/told
sudo -n rpm -q httpd kernel-core --qf '%{name}\\n'
stat -c '%C %n' / /boot /bin /lost+found /usr/bin/passwd /usr/sbin/httpd /usr/sbin/sshd /var/www/html/index.html
sudo -n stat -c %C /etc/shadow
sudo -n find / -xdev -name '.osbuild-compose*' | wc -l
sudo -n find /etc/firewalld -name '*.old' | wc -l
python3 -c 'import os; print(os.getxattr("/usr/bin/ping", "security.capability").hex())'
test -s /etc/machine-id && echo has-id
ls /etc/ssh/ssh_host_*_key | wc -l
sudo -n find /var/cache/dnf /var/log/dnf.log -type f | wc -l
"""
EXPECTED = """../usr/share/zoneinfo/Europe/Prague
en_US.UTF-8
root
admin wheel
enabled
dhcpv6-client http ssh
440 root:root
S.5....T.  c /etc/default/grub
.M....G..    /var/log/audit
looked at labels
httpd
kernel-core
system_u:object_r:root_t:s0 /
system_u:object_r:boot_t:s0 /boot
system_u:object_r:bin_t:s0 /bin
system_u:object_r:lost_found_t:s0 /lost+found
system_u:object_r:passwd_exec_t:s0 /usr/bin/passwd
system_u:object_r:httpd_exec_t:s0 /usr/sbin/httpd
system_u:object_r:sshd_exec_t:s0 /usr/sbin/sshd
system_u:object_r:httpd_sys_content_t:s0 /var/www/html/index.html
system_u:object_r:shadow_t:s0
0
0
0100000200200000000000000000000000000000
has-id
3
0
"""


@pytest.fixture(scope="module")
def image(
    repository: Standin, for_uefi: tuple[str, str], scratch_room: Path, installed: Path, key_pair: Path
) -> Callable[[str], Path]:
    """Builds the sample as `root` or `user`, each once."""
    made: dict[str, Path] = {}

    def build(kind: str) -> Path:
        if kind not in made:
            made[kind] = build_as(make_account(kind, scratch_room, installed), repository, for_uefi, key_pair)
        return made[kind]

    return build


def build_as(account: Account, repository: Standin, for_uefi: tuple[str, str], key_pair: Path) -> Path:
    """Build blueprints/fedora-web-server.yaml from the repositories in the account's home."""
    text = (REPO / "blueprints/fedora-web-server.yaml").read_text()
    blueprint = account.home / "fedora.yaml"
    blueprint.write_text(SAMPLE_KEY.sub(key_pair.with_suffix(".pub").read_text().strip(), text))
    blueprint.chmod(0o644)
    (account.home / "standin.asc").write_text(repository.key)
    (account.home / "efi.asc").write_text(for_uefi[1])
    shutil.copytree(Path(__file__).parent / "standin_templates", account.home / "templates")
    settings = [part for setting in DIFFERENCES for part in ("--set", setting)]
    done = account.compose(
        *("build", blueprint, "-o", account.home / "images", "--store", account.store),
        *("--templates", account.home / "templates", *settings),
        *("--repo", f"standin={repository.url}/metalink?repo=fedora-$releasever&arch=$basearch"),
        *("--repo-key", account.home / "standin.asc", "--repo", f"efi={for_uefi[0]}"),
        *("--repo-key", account.home / "efi.asc"),
    )
    assert done.returncode == 0, done.stderr
    image = account.home / "images/fedora-web-server.qcow2"
    assert done.stdout.split() == [str(image)]
    return image


@pytest.mark.parametrize(("account_kind", "firmware"), [("root", Firmware.BIOS), ("user", Firmware.UEFI)])
def test_the_web_server_serves(
    image: Callable[[str], Path], key_pair: Path, tmp_path: Path, account_kind: str, firmware: Firmware
) -> None:
    """The images are the same bytes: either starts by both."""
    log = tmp_path / "console.log"
    with Machine(image(account_kind), ports=(22, 80), firmware=firmware, log=log) as machine:
        machine.wait_for(r"web login:", timeout=PATIENCE)
        answer = machine.http_get(80, "/", timeout=PATIENCE)
        assert (answer.status, answer.body.decode()) == (200, PAGE)
        whole = firmware is Firmware.BIOS
        told = machine.ssh(STARTED + (FACTS if whole else ""), key=key_pair, user="admin", timeout=PATIENCE)
        assert told.stdout == EXPECTED_STARTED.format(firmware=firmware) + (EXPECTED if whole else ""), told.stderr


def test_roots_image_and_a_users_are_the_same_bytes(image: Callable[[str], Path]) -> None:
    """So that what is found in one is in both."""
    assert filecmp.cmp(image("root"), image("user"), shallow=False)


def test_inspecting_the_image_tells_what_the_blueprint_says(
    image: Callable[[str], Path], scratch_room: Path, installed: Path
) -> None:
    done = make_account("user", scratch_room, installed).compose("inspect", image("user"), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["notes"] == []
    system = document["system"]
    assert system["packages"]["manager"] == "rpm"
    assert {"httpd", "kernel-core"} <= {one["name"] for one in system["packages"]["installed"]}
    assert "httpd.service" in {one["unit"] for one in system["services"]["enabled"]}
    assert any("console=ttyS0" in one["options"] for one in document["boot"]["entries"])
    assert document["provenance"]["build"]["distro"] == "standin-30"
