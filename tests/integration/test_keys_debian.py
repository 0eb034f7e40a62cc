"""Every key of a blueprint, built into a real Debian, seen with Debian's own programs."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from osbuild_compose.blueprint.values import credentials
from tests.integration.apt_repository import Contents, Key, Repository
from tests.integration.blueprint_tree import KEYS, Tree, built, compression_of
from tests.standin import made_once, served

# What a package's script sees of the host.
NAMES = """#!/bin/sh
{ uname -n; hostname; hostname --fqdn; hostname --short; dnsdomainname; cat /etc/hostname; cat /etc/resolv.conf
  getent hosts every.example.org every; } > /srv/own-names
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to look into the tree with its own programs")


@pytest.fixture(scope="session")
def debian() -> Iterator[Tree]:
    """The tree of keys/debian.yaml, with a package from a repository that is served meanwhile."""
    room = made_once("keys-debian", Path(__file__).read_bytes(), make_repository)
    with served(room / "www", "keys-debian") as url:
        values = {"repository": f"{url}/", "directory": room}
        values |= {name: (room / name).read_text() for name in ("fingerprint", "digest")}
        chosen = [word for name, value in values.items() for word in ("--var", f"{name}={value}")]
        with built(KEYS / "debian.yaml", *chosen) as tree:
            yield tree


def make_repository(room: Path) -> None:
    room.mkdir()
    key = Key(room / "key")
    repository = Repository(room / "www", key)
    fields = {"Depends": "debconf, own-extra | tzdata", "Recommends": "own-recommended"}
    asks = {
        "templates": "Template: own-tool/words\nType: string\nDescription: words\n",
        "postinst": "#!/bin/sh\n. /usr/share/debconf/confmodule\ndb_get own-tool/words\necho $RET >/srv/own-words\n"
        f"db_stop\n{NAMES}",
    }
    repository.add("own-tool", Contents(fields, {"srv/own-tool": "from the own one\n"}, asks))
    repository.add("own-recommended", Contents({}, {"srv/own-recommended": ""}))
    repository.add("own-extra", Contents())
    repository.publish()
    (repository.root / "key.asc").write_text(key.armoured)
    flat = Repository(room / "www/flat", key)
    flat.add("own-flat", Contents({}, {"srv/own-flat": ""}))
    flat.publish_flat()
    here = Repository(room / "here", key)
    here.add("own-here", Contents({}, {"srv/own-here": ""}))
    here.publish_flat(signed=False)
    files = Repository(room / "www/made", key)
    (room / "www/files").mkdir()
    for name in ("own-fetched", "own-file"):
        path = files.add(name, Contents({}, {f"srv/{name}": ""}))
        path.rename(room / "www/files" / path.name)
    fetched = (room / "www/files/own-fetched_1.0_all.deb").read_bytes()
    (room / "digest").write_text(hashlib.sha256(fetched).hexdigest())
    listing = key.gpg("--list-keys", "--with-colons")
    fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))
    (room / "fingerprint").write_text(fingerprint)
    shutil.rmtree(key.home)


def test_accounts(debian: Tree) -> None:
    assert debian.sh("id admin") == "uid=1500(admin) gid=1500(admin) groups=1500(admin),2000(ops)\n"
    assert debian.sh("getent group ops") == "ops:x:2000:admin\n"
    assert debian.sh("getent passwd clerk").endswith(":/home/clerk:/bin/sh\n")
    assert debian.sh("getent passwd robot") == "robot:x:1600:2000::/srv/robot:/usr/sbin/nologin\n"
    hashed = credentials.hashed("correct horse", "every-key", "admin")
    assert debian.sh("getent shadow admin").split(":")[1] == hashed
    ages = debian.sh("chage -l admin")
    assert re.search(r"Last password change\s*: password must be changed", ages)
    assert re.search(r"Account expires\s*: Dec 31, 2030", ages)
    assert debian.sh("ssh-keygen -l -f ~admin/.ssh/authorized_keys").endswith(" nobody (ED25519)\n")


def test_sudo(debian: Tree) -> None:
    assert "/etc/sudoers.d/admin: parsed OK\n/etc/sudoers.d/clerk: parsed OK\n" in debian.sh("visudo -c")
    assert debian.sh("sudo -l -U admin 2>/dev/null").rstrip().endswith("(ALL : ALL) NOPASSWD: ALL")
    assert debian.sh("sudo -l -U clerk 2>/dev/null").rstrip().endswith("(ALL : ALL) ALL")


def test_name_time_and_language(debian: Tree) -> None:
    assert debian.text("/etc/hostname") == "every.example.org\n"
    full = "every.example.org"
    assert debian.text("/srv/own-names").split() == [
        *[full, full, full, "every", "example.org", full],
        *["127.0.1.1", full, "every"] * 2,
    ]
    assert debian.sh("date -d @0 +%Z") == "CET\n"
    assert "\nNTP=ntp.example.org\n" in debian.sh("systemd-analyze cat-config systemd/timesyncd.conf")
    assert {"cs_CZ.utf8", "en_US.utf8"} <= set(debian.sh("locale -a").split())
    assert debian.sh(". /etc/default/locale; echo $LANG; LC_ALL=cs_CZ.UTF-8 date -d 2024-01-01 +%B") == (
        "en_US.UTF-8\nledna\n"
    )
    assert debian.sh(". /etc/default/keyboard; echo $XKBLAYOUT") == "cz\n"


def test_services(debian: Tree) -> None:
    units = {
        **{"app": "enabled", "ssh": "enabled", "nftables": "enabled", "tidy.timer": "enabled"},
        **{"compose-first-boot-script-1": "enabled", "compose-first-boot-join": "enabled"},
        **{"apt-daily.timer": "disabled", "apt-daily-upgrade.timer": "masked"},
    }
    states = debian.sh(f"systemctl is-enabled {' '.join(units)}; true").splitlines()
    assert dict(zip(units, states, strict=True)) == units
    assert (debian.root / "etc/systemd/system/default.target").readlink().name == "multi-user.target"


def test_units(debian: Tree) -> None:
    units = "app.service ssh.service tidy.timer tidy.service compose-first-boot-script-1.service"
    assert debian.sh(f"systemd-analyze verify --man=no {units} compose-first-boot-join.service") == ""
    broken = "cp /etc/systemd/system/app.service /run/bad.service; echo Exec=a >>/run/bad.service"
    assert "Unknown key" in debian.sh(f"{broken}; systemd-analyze verify --man=no /run/bad.service; true")
    shown = debian.sh("systemd-analyze cat-config systemd/system/app.service")
    assert "ExecStart=/usr/bin/sleep infinity" in shown
    assert "MemoryMax=1G" in shown
    assert "RestartSec=7" in debian.sh("systemd-analyze cat-config systemd/system/ssh.service")


def test_timers_and_cron(debian: Tree) -> None:
    timer = debian.text("/etc/systemd/system/tidy.timer")
    assert "Description=Tidy 100%% up\n" in timer
    assert "Persistent=no\n" in timer
    assert "Requires=app.service" in debian.sh("systemd-analyze cat-config systemd/system/own.target")
    schedule = debian.sh("sed -n s/^OnCalendar=//p /etc/systemd/system/tidy.timer").strip()
    assert "Mon *-*-* 03:00:00" in debian.sh(f"systemd-analyze calendar '{schedule}'")
    # cron's syntax check is one for users' tables, which lack the column of the user.
    assert debian.sh("sed 's/ clerk / /' /etc/cron.d/stamp | crontab -n -").startswith("The syntax of the crontab file")
    assert "date +\\%s" in debian.text("/etc/cron.d/stamp")


def test_network(debian: Tree) -> None:
    """The tree's networkd sets up a network card that is called as in the blueprint."""
    ready = "mount -t tmpfs -o ro none /sys && mkdir -p /run/systemd/netif/links"  # as in a container: without udev
    card = "ip link add lan0 type veth peer name other && ip link set other up"
    start = "(/usr/lib/systemd/systemd-networkd &) 2>/run/log"
    wait = "for i in $(seq 100); do ip route | grep -q default && break; sleep 0.1; done"
    script = f"{ready} && chown -R systemd-network: /run/systemd/netif && {card} && {start}; {wait}; cat /run/log"
    shown = debian.sh(f"{script}; ip addr show lan0; ip route; ip -6 route; cat /run/systemd/netif/links/*")
    for text in (
        *("Configuring with /etc/systemd/network/20-lan0.network", " mtu 1400 ", "inet 192.0.2.10/24 "),
        *("inet6 2001:db8::10/64 ", "default via 192.0.2.1 dev lan0 ", "default via fe80::1 dev lan0 "),
        *("10.0.0.0/8 via 192.0.2.254 dev lan0 proto static metric 100", "DNS=192.0.2.53\n", "DOMAINS=example.org\n"),
    ):
        assert text in shown


def test_firewall(debian: Tree) -> None:
    rules = debian.sh("nft -f /etc/nftables.conf && nft list ruleset")
    for rule in (
        *("policy drop", "tcp dport 22 accept", "tcp dport 80 accept", "tcp dport 8080 accept"),
        *("udp dport 6000-6010 accept", "ip saddr 192.0.2.0/24 accept", "ip6 saddr 2001:db8::/32 drop"),
    ):
        assert rule in rules
    assert "dport 546" not in rules


def test_the_firewall_with_packets(debian: Tree) -> None:
    """From another network namespace: a ping, then connections to port 22, which is open, and to 9999."""
    expected = {
        "203.0.113.7": "answered reached nothing",
        "fd01::7": "answered reached nothing",
        "192.0.2.7": "answered reached reached",
        "2001:db8::7": "nothing nothing nothing",
        "192.0.2.8@52:54:00:12:34:56": "nothing nothing nothing",
        "192.0.2.9@52:54:00:00:00:01": "nothing nothing nothing",
        "198.51.100.7": "rejected rejected rejected",
        "203.0.113.9": "rejected rejected rejected",
    }
    script = f"cat >/tmp/packets.py <<'END'\n{(KEYS / 'packets.py').read_text()}END\n"
    shown = debian.sh(f"{script}nft -f /etc/nftables.conf && python3 /tmp/packets.py {' '.join(expected)}")
    assert dict(line.split(" ", 1) for line in shown.splitlines()) == expected


def test_kernel_parameters_and_modules(debian: Tree) -> None:
    applied = debian.sh("sysctl --system --dry-run 2>&1").partition("/etc/sysctl.d/90-compose.conf")[2]
    assert "\nnet.ipv4.ip_forward = 1\nkernel.core_pattern = |/bin/false\n" in applied
    modules = debian.sh("modprobe --showconfig").splitlines()
    assert {"blacklist pcspkr", "options loop max_loop=8"} <= set(modules)
    assert debian.sh("cat /etc/modules-load.d/90-compose.conf | xargs -n1 modinfo -k $(ls /lib/modules) -n")


def test_udev_and_tmpfiles(debian: Tree) -> None:
    assert "Success: 1" in debian.sh("udevadm verify /etc/udev/rules.d/90-disk.rules")
    assert debian.sh("systemd-tmpfiles --create 90-compose.conf; stat -c '%n %a %U:%G' /run/app /run/app/*") == (
        "/run/app 750 admin:ops\n/run/app/ready 640 admin:ops\n"
    )


def test_ssh_server(debian: Tree) -> None:
    shown = debian.sh("mkdir /run/sshd; ssh-keygen -q -t ed25519 -N '' -f /tmp/k; sshd -T -h /tmp/k").splitlines()
    assert {
        *("port 22", "port 2222", "passwordauthentication no", "kbdinteractiveauthentication no"),
        *("permitrootlogin no", "clientaliveinterval 300", "clientalivecountmax 2", "maxauthtries 3"),
        *("allowusers admin", "allowusers clerk", "allowgroups ops", "allowgroups clerk"),
        *("x11forwarding no", "allowtcpforwarding no"),
    } <= set(shown)


def test_certificates(debian: Tree) -> None:
    place = "/usr/local/share/ca-certificates/compose-1.crt"
    assert debian.sh(f"openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt {place}") == f"{place}: OK\n"
    assert (debian.root / "etc/ssl/certs/compose-1.pem").is_symlink()


def test_cloud_init_reads_its_configuration(debian: Tree) -> None:
    read = "from cloudinit import util; c = util.read_conf_with_confd('/etc/cloud/cloud.cfg')"
    shown = debian.sh(f'''python3 -c "{read}; print(c['datasource_list'], c['disable_root'], c['ssh_pwauth'])"''')
    assert shown == "['NoCloud', 'None'] True False\n"


def test_initramfs(debian: Tree) -> None:
    assert "/nbd.ko" in debian.sh("lsinitramfs /boot/initrd.img-*")
    (initramfs,) = (debian.root / "boot").glob("initrd.img-*")
    assert compression_of(initramfs) == b"\xfd7zXZ\0"


def test_files(debian: Tree) -> None:
    assert debian.sh("cd /srv; stat -c '%n %a %U:%G' data data/*; cat link; readlink link") == (
        "data 2770 admin:ops\ndata/beside 644 root:root\ndata/bytes 644 root:root\n"
        "data/text 640 admin:ops\ndata/tree 750 admin:ops\nhéllo\ndata/text\n"
    )
    assert (debian.root / "srv/data/bytes").read_bytes() == b"\xff\xff\x00"
    assert debian.text("/srv/data/beside") == (KEYS / "app.service").read_text()


def test_a_directory_beside_the_blueprint(debian: Tree) -> None:
    """What is there keeps its mode, links are copied as links, and the blueprint's rule is for what is made."""
    made = "/etc /var/tmp /etc/overlay /etc/overlay/own.conf /usr/local/bin/overlaid"
    assert debian.sh(
        f"stat -c '%n %a %U:%G' {made}; readlink /var/tmp/link /etc/overlay/shadow; /usr/local/bin/overlaid"
    ) == (
        "/etc 755 root:root\n/var/tmp 1777 root:root\n/etc/overlay 755 root:root\n/etc/overlay/own.conf 644 root:root\n"
        "/usr/local/bin/overlaid 755 root:root\n/etc/overlay/own.conf\n../../etc/shadow\nfrom the overlay\n"
    )
    assert debian.sh("cd /srv/data/tree; stat -c '%n %a %U:%G' overlay overlay/own.conf; cat overlay/own.conf") == (
        "overlay 750 admin:ops\noverlay/own.conf 640 admin:ops\na = 1\n"
    )


def test_scripts(debian: Tree) -> None:
    assert debian.text("/srv/who") == "root\n"
    assert debian.text("/srv/perl").startswith("5.")
    assert debian.sh("/usr/libexec/compose-first-boot/script-1; /usr/libexec/compose-first-boot/join") == "hello\n"


def test_kernel_command_line(debian: Tree) -> None:
    debian.sh("grub-script-check /boot/grub/grub.cfg")
    assert re.search(r"linux .* console=ttyS0 quiet", debian.text("/boot/grub/grub.cfg"))


def test_packages_from_everywhere(debian: Tree) -> None:
    """Versions, files, addresses, flat repositories, directories of the build machine, recommended packages."""
    own = set(debian.sh("cd /srv; ls -d own-*").split())
    assert own == {
        *("own-fetched", "own-file", "own-flat", "own-here", "own-names", "own-recommended", "own-tool", "own-words"),
    }
    assert debian.text("/srv/own-words") == "from the blueprint\n"
    assert (
        debian.sh("echo GET own-tool/words | DEBIAN_FRONTEND=noninteractive debconf-communicate own-tool")
        == "0 from the blueprint\n"
    )
    assert "here" not in debian.text("/etc/apt/sources.list.d/debian.sources")
    assert debian.text("/etc/apt/preferences.d/compose.pref") == (
        'Package: *\nPin: origin "127.0.0.1"\nPin-Priority: 700\n'
    )
    assert debian.sh("apt-mark showauto | grep ^own- || true") == "own-recommended\n"


def test_repositories(debian: Tree) -> None:
    assert debian.text("/srv/own-tool") == "from the own one\n"
    found = debian.sh("apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages'")
    sources = dict(line.split(" ", 1) for line in found.splitlines())
    assert sources["http://image.example.org/debian/"] == "stable"
    assert sources["http://ftp.debian.org/debian/"].startswith("trixie")  # not the mirror that the build read from
    assert [release for uri, release in sources.items() if uri.startswith("http://127.0.0.1:")] == ["test", "./"]


def test_packages(debian: Tree) -> None:
    installed = debian.sh("dpkg-query -W -f '${Package}\\n'").split()
    assert {"procps", "sudo", "cron", "cloud-init", "cloud-guest-utils", "fdisk", "tzdata"} <= set(installed)
    assert {"own-tool", "linux-image-amd64"} <= set(installed)
    assert not {"own-extra", "linux-image-cloud-amd64"} & set(installed)
    assert debian.sh("dpkg --audit") == ""


def test_what_is_in_files_beside_the_blueprint(debian: Tree) -> None:
    assert debian.text("/etc/udev/rules.d/90-net.rules") == (KEYS / "90-net.rules").read_text()
    assert debian.text("/srv/hello") == "hello from a file\n"  # the script while building, once
    assert debian.text("/usr/libexec/compose-first-boot/from-file") == (KEYS / "hello").read_text()


def test_the_image_knows_its_blueprint(debian: Tree) -> None:
    document = json.loads(debian.text("/usr/lib/osbuild-compose/blueprint.json"))
    assert (document["description"], document["version"]) == ("Every key", "1.0")
