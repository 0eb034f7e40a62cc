"""Keys of a blueprint, built into a tree of RPMs from the stand-in repository, seen with the tree's own programs."""

import json
import os
import re
from collections.abc import Iterator

import pytest

from osbuild_compose.blueprint.values import credentials
from tests.integration.blueprint_tree import KEYS, REPO, Tree, built, compression_of
from tests.standin import standin
from tests.standin_extra import extra

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who alone can set SELinux labels")


@pytest.fixture(scope="session")
def fedora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """The tree of keys/fedora.yaml."""
    place = tmp_path_factory.mktemp("repositories")
    with standin("keys-standin") as repository, extra("keys-extra") as url:
        (place / "key.asc").write_text(repository.key)
        (place / "both.repo").write_text(
            f"[standin]\nmetalink={repository.url}/metalink?repo=fedora-$releasever&arch=$basearch\n"
            f"gpgkey={place}/key.asc\n[extra]\nbaseurl={url}\ngpgcheck=0\n"
        )
        arguments = ["--templates", str(REPO / "tests/boot/standin_templates"), "--repo", str(place / "both.repo")]
        with built(KEYS / "fedora.yaml", *arguments) as tree:
            yield tree


def test_accounts(fedora: Tree) -> None:
    assert fedora.sh("id admin") == "uid=1500(admin) gid=1500(admin) groups=1500(admin),2000(ops)\n"
    assert fedora.sh("getent passwd clerk").endswith(":/home/clerk:/bin/sh\n")
    assert fedora.sh("getent passwd robot") == "robot:x:1600:2000::/srv/robot:/usr/sbin/nologin\n"
    hashed = credentials.hashed("correct horse", "every-key", "admin")
    assert fedora.sh("getent shadow admin").split(":")[1] == hashed
    ages = fedora.sh("chage -l admin")
    assert re.search(r"Last password change\s*: password must be changed", ages)
    assert re.search(r"Account expires\s*: Dec 31, 2030", ages)


def test_sudo(fedora: Tree) -> None:
    assert "/etc/sudoers.d/admin: parsed OK\n/etc/sudoers.d/clerk: parsed OK\n" in fedora.sh("visudo -c")
    assert fedora.sh("sudo -l -U admin 2>/dev/null").rstrip().endswith("(ALL : ALL) NOPASSWD: ALL")
    assert fedora.sh("sudo -l -U clerk 2>/dev/null").rstrip().endswith("(ALL : ALL) ALL")


def test_name_time_and_language(fedora: Tree) -> None:
    assert fedora.text("/etc/hostname").strip() == "every.example.org"
    assert fedora.sh("date -d @0 +%Z") == "CET\n"
    time_sources = fedora.sh("chronyd -p -f /etc/chrony.conf | grep -E '^(server|pool|peer)'")
    assert time_sources == "server ntp.example.org iburst\n"
    assert fedora.sh(". /etc/locale.conf; echo $LANG; . /etc/vconsole.conf; echo $KEYMAP") == "en_US.UTF-8\ncz\n"


def test_services(fedora: Tree) -> None:
    units = {
        **{"app": "enabled", "sshd": "enabled", "tidy.timer": "enabled", "compose-first-boot-join": "enabled"},
        **{"crond": "disabled", "dnf-makecache.timer": "masked"},
    }
    states = fedora.sh(f"systemctl is-enabled {' '.join(units)}; true").splitlines()
    assert dict(zip(units, states, strict=True)) == units
    assert (fedora.root / "etc/systemd/system/default.target").readlink().name == "multi-user.target"


def test_units_and_timers(fedora: Tree) -> None:
    units = "app.service tidy.timer tidy.service compose-first-boot-script-1.service compose-first-boot-join.service"
    told = fedora.sh(f"systemd-analyze verify --man=no {units}; true").splitlines()
    assert [line for line in told if any(unit in line for unit in units.split())] == []
    assert "MemoryMax=1G" in fedora.sh("systemd-analyze cat-config systemd/system/app.service")
    timer = fedora.text("/etc/systemd/system/tidy.timer")
    assert "Description=Tidy 100%% up\n" in timer
    assert "Persistent=no\n" in timer
    assert "Requires=app.service" in fedora.sh("systemd-analyze cat-config systemd/system/own.target")
    schedule = fedora.sh("sed -n s/^OnCalendar=//p /etc/systemd/system/tidy.timer").strip()
    assert "Mon *-*-* 03:00:00" in fedora.sh(f"systemd-analyze calendar '{schedule}'")
    assert "clerk date +\\%s" in fedora.text("/etc/cron.d/stamp")


def test_network(fedora: Tree) -> None:
    place = "/etc/NetworkManager/system-connections/lan0.nmconnection"
    assert fedora.sh(f"stat -c '%a %U' {place}") == "600 root\n"
    assert "\naddress1=192.0.2.10/24\ngateway=192.0.2.1\ndns=192.0.2.53;\n" in fedora.text(place)


def test_firewall(fedora: Tree) -> None:
    public = fedora.sh("firewall-offline-cmd --list-all")
    assert re.search(r"services: (ssh http|http ssh)\n", public)
    assert re.search(r"ports: 8080/tcp 6000-6010/udp\n", public)
    assert "sources: 192.0.2.0/24\n" in fedora.sh("firewall-offline-cmd --zone=trusted --list-all")
    assert "sources: 2001:db8::/32 ipset:cards\n" in fedora.sh("firewall-offline-cmd --zone=lab --list-all")
    assert fedora.sh("firewall-offline-cmd --ipset=cards --get-entries") == "52:54:00:00:00:01\n"


def test_kernel_parameters_and_modules(fedora: Tree) -> None:
    applied = fedora.sh("sysctl --system --dry-run 2>&1").partition("/etc/sysctl.d/90-compose.conf")[2]
    assert "\nnet.ipv4.ip_forward = 1\nkernel.core_pattern = |/bin/false\n" in applied
    assert {"blacklist pcspkr", "options loop max_loop=8"} <= set(fedora.sh("modprobe --showconfig").splitlines())
    assert fedora.sh("cat /etc/modules-load.d/90-compose.conf | xargs -n1 modinfo -k $(ls /lib/modules) -n")


def test_udev_and_tmpfiles(fedora: Tree) -> None:
    assert 'ATTR{queue/scheduler}="none"' in fedora.text("/etc/udev/rules.d/90-disk.rules")
    assert fedora.sh("systemd-tmpfiles --create 90-compose.conf; stat -c '%n %a %U:%G' /run/app /run/app/*") == (
        "/run/app 750 admin:ops\n/run/app/ready 640 admin:ops\n"
    )


def test_ssh_server(fedora: Tree) -> None:
    shown = fedora.sh("mkdir /run/sshd; ssh-keygen -q -t ed25519 -N '' -f /tmp/k; sshd -T -h /tmp/k").splitlines()
    assert {
        *("port 22", "port 2222", "passwordauthentication no", "kbdinteractiveauthentication no"),
        *("permitrootlogin without-password", "clientaliveinterval 300", "clientalivecountmax 2"),
        *("allowusers admin", "allowusers clerk", "allowgroups ops", "allowgroups clerk", "maxauthtries 3"),
        *("x11forwarding no", "allowtcpforwarding no"),
    } <= set(shown)


def test_initramfs(fedora: Tree) -> None:
    (initramfs,) = (fedora.root / "boot").glob("initramfs-*.img")
    listing = fedora.sh(f"lsinitrd /boot/{initramfs.name}")
    assert "/nbd.ko" in listing
    assert "\noverlayfs\n" in listing.partition("dracut modules:")[2]
    assert compression_of(initramfs)[:2] == b"\x1f\x8b"


def test_files_and_scripts(fedora: Tree) -> None:
    assert fedora.sh("cd /srv; stat -c '%n %a %U:%G' data data/*; cat link who") == (
        "data 2770 admin:ops\ndata/text 640 admin:ops\nhéllo\nroot\n"
    )
    assert fedora.sh("/usr/libexec/compose-first-boot/script-1; /usr/libexec/compose-first-boot/join") == "hello\n"


def test_selinux_and_the_kernel_command_line(fedora: Tree) -> None:
    assert "SELINUX=permissive\n" in fedora.text("/etc/selinux/config")
    (entry,) = (fedora.root / "boot/loader/entries").glob("*.conf")
    kernel_options = entry.read_text() + fedora.text("/boot/grub2/grubenv")
    assert "console=ttyS0 quiet" in kernel_options


def test_repositories(fedora: Tree) -> None:
    listed = fedora.sh("dnf --cacheonly repolist --enabled 2>/dev/null; true").splitlines()
    assert any(re.fullmatch(r"tools +Tools", line.strip()) for line in listed)
    key = fedora.text("/etc/pki/rpm-gpg/RPM-GPG-KEY-signed")
    assert key.strip() == (REPO / "templates/fedora/keys/RPM-GPG-KEY-fedora-43-primary").read_text().strip()
    written = fedora.text("/etc/yum.repos.d/compose.repo").partition("[signed]\n")[2]
    assert "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-signed\n" in written
    assert "gpgcheck=1\n" in written


def test_packages(fedora: Tree) -> None:
    installed = fedora.sh("rpm -qa --qf '%{name}\\n'").split()
    assert {
        "sudo",
        "cronie",
        "chrony",
        "firewalld",
        "tzdata",
        "cloud-utils-growpart",
        "glibc-langpack-en",
        "kernel",
    } <= set(installed)
    assert "glibc-minimal-langpack" not in installed


def test_the_module_is_of_the_stream_that_was_enabled(fedora: Tree) -> None:
    assert fedora.text("/usr/share/runtime") == "9"
    assert "stream=9\n" in fedora.text("/etc/dnf/modules.d/runtime.module")
    assert "state=enabled\n" in fedora.text("/etc/dnf/modules.d/runtime.module")


def test_fips(fedora: Tree) -> None:
    assert fedora.sh("update-crypto-policies --show") == "FIPS\n"
    assert (fedora.root / "etc/crypto-policies/back-ends/opensslcnf.config").readlink().parent.name == "FIPS"
    (boot,) = re.findall(r"^UUID=(\S+)\s+/boot\s", fedora.text("/etc/fstab"), re.MULTILINE)
    (entry,) = (fedora.root / "boot/loader/entries").glob("*.conf")
    assert f"fips=1 boot=UUID={boot}" in entry.read_text() + fedora.text("/boot/grub2/grubenv")
    (initramfs,) = (fedora.root / "boot").glob("initramfs-*.img")
    listing = fedora.sh(f"lsinitrd /boot/{initramfs.name}")
    assert "\nfips\n" in listing.partition("dracut modules:")[2]
    # What its module checks the kernel with, and what it looks for.
    for path in ("usr/bin/sha512hmac", "etc/system-fips", "hooks/pre-pivot/01-fips-noboot.sh"):
        assert f"{path}\n" in listing


def test_certificates(fedora: Tree) -> None:
    place = "/etc/pki/ca-trust/source/anchors/compose-1.pem"
    assert fedora.sh(f"openssl verify -CAfile /etc/pki/tls/certs/ca-bundle.crt {place}") == f"{place}: OK\n"
    name = fedora.sh(
        f"openssl x509 -in {place} -noout -subject -nameopt sname,multiline | sed -n 's/.*commonName *= //p'"
    )
    trusted = fedora.sh("trust list --filter=ca-anchors")
    assert f"label: {name}" in trusted
    assert trusted.count("label: ") > 100  # with the distribution's own


def test_cloud_init_reads_its_configuration(fedora: Tree) -> None:
    read = "from cloudinit import util; c = util.read_conf_with_confd('/etc/cloud/cloud.cfg')"
    shown = fedora.sh(f"""python3 -c "{read}; print(c['datasource_list'], c['disable_root'], c['ssh_pwauth'])" """)
    assert shown == "['NoCloud', 'None'] True False\n"
    valid = fedora.sh("cloud-init schema --config-file /etc/cloud/cloud.cfg.d/90-compose.cfg 2>&1")
    assert "Valid" in valid


def test_what_is_in_files_beside_the_blueprint(fedora: Tree) -> None:
    assert fedora.text("/etc/udev/rules.d/90-net.rules") == (KEYS / "90-net.rules").read_text()
    assert fedora.text("/srv/hello") == "hello from a file\n"  # the script while building, once
    assert fedora.text("/usr/libexec/compose-first-boot/from-file") == (KEYS / "hello").read_text()


def test_the_image_knows_its_blueprint(fedora: Tree) -> None:
    document = json.loads(fedora.text("/usr/lib/osbuild-compose/blueprint.json"))
    assert (document["description"], document["version"]) == ("Every key", "1.0")
