"""Keys that are configuration files: what is in them, and the same on every distribution."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.compile import pipeline
from osbuild_compose.compile.template import filters
from osbuild_compose.errors import InputError
from tests.unit.compile.compiling import blueprint, check_options, compiled, files, names, options

CASES = [
    (
        "sysctl: {net.ipv4.ip_forward: 1, -a/b: x y}",
        "/etc/sysctl.d/90-compose.conf",
        "net.ipv4.ip_forward = 1\n-a/b = x y\n",
    ),
    (
        "modprobe: {blacklist: [a, b], options: {c: d=1 e=2}}",
        "/etc/modprobe.d/90-compose.conf",
        "blacklist a\nblacklist b\noptions c d=1 e=2\n",
    ),
    ("modprobe: {load: [br_netfilter, tun]}", "/etc/modules-load.d/90-compose.conf", "br_netfilter\ntun\n"),
    ("udev_rules: [{name: 9-a.rules, content: 'A==\"b\"'}]", "/etc/udev/rules.d/9-a.rules", 'A=="b"'),
    ("tmpfiles: [d /run/a, f+ /b - - - - c]", "/etc/tmpfiles.d/90-compose.conf", "d /run/a\nf+ /b - - - - c\n"),
    ("users: [{name: a, sudo: true}]", "/etc/sudoers.d/a", "a ALL=(ALL:ALL) ALL\n"),
    ("users: [{name: a, sudo: nopasswd}]", "/etc/sudoers.d/a", "a ALL=(ALL:ALL) NOPASSWD: ALL\n"),
    (
        "sshd: {password_authentication: false, permit_root_login: true, allow_groups: [a, b], max_auth_tries: 2}",
        "/etc/ssh/sshd_config.d/10-compose.conf",
        "PasswordAuthentication no\nPermitRootLogin yes\nMaxAuthTries 2\nAllowGroups a b\n",
    ),
    ("units: [{name: a.service, content: '[Service]'}]", "/etc/systemd/system/a.service", "[Service]"),
    (
        "cron: [{name: b, schedule: 0 3 * * mon-fri, command: date +%s, user: a}]",
        "/etc/cron.d/b",
        "0 3 * * mon-fri a date +\\%s\n",
    ),
    (
        "cloud_init: {users: [{name: a}], disable_root: true}",
        "/etc/cloud/cloud.cfg.d/90-compose.cfg",
        '#cloud-config\n{\n  "disable_root": true,\n  "users": [\n    {\n      "name": "a"\n    }\n  ]\n}\n',
    ),
    (
        "timers: [{name: b, schedule: daily, command: 'echo \"100% $HOME\" \\x', user: a}]",
        "/etc/systemd/system/b.service",
        "[Unit]\nDescription=b\n\n[Service]\nType=oneshot\nUser=a\n"
        'ExecStart=/bin/sh -c "echo \\"100%% $$HOME\\" \\\\x"\n',
    ),
    (
        "timers: [{name: b, schedule: Mon *-*-* 03:00, command: a, description: 50%, persistent: false}]",
        "/etc/systemd/system/b.timer",
        "[Unit]\nDescription=50%%\n\n[Timer]\nOnCalendar=Mon *-*-* 03:00\nPersistent=no\n\n"
        "[Install]\nWantedBy=timers.target\n",
    ),
    (
        "first_boot: [echo a, {name: b, content: '#!/bin/true', after: [c, d.socket], before: [e],"
        " wait_for_network: true, ignore_failure: true}]",
        "/etc/systemd/system/compose-first-boot-b.service",
        "[Unit]\nDescription=First boot: b\nConditionPathExists=!/var/lib/compose-first-boot/b\n"
        "Wants=network-online.target\n"
        "After=compose-first-boot-script-1.service network-online.target c.service d.socket\n"
        "Before=e.service\n\n[Service]\nType=oneshot\nStateDirectory=compose-first-boot\n"
        "ExecStart=-/usr/libexec/compose-first-boot/b\n"
        "ExecStartPost=/bin/touch /var/lib/compose-first-boot/b\n\n"
        "[Install]\nWantedBy=multi-user.target\n",
    ),
    ("first_boot: [echo a]", "/usr/libexec/compose-first-boot/script-1", "#!/bin/sh -e\necho a"),
    (
        "units: [{name: a@.service, dropins: [{name: b.conf, content: '[Unit]'}]}]",
        "/etc/systemd/system/a@.service.d/b.conf",
        "[Unit]",
    ),
]


def made(distro: str, content: str) -> dict[str, Any]:
    document = compiled(blueprint(f"name: a\ndistro: {distro}\npackages: [openssh-server]\n{content}\n"))
    check_options(document)
    return document


@pytest.mark.parametrize("distro", ["debian-12", "fedora-43"])
@pytest.mark.parametrize(("content", "path", "expected"), CASES, ids=[path for _, path, _ in CASES])
def test_a_key_is_a_file(distro: str, content: str, path: str, expected: str) -> None:
    assert files(made(distro, content))[path]["content"] == expected


def test_secret_files_are_not_for_everybody() -> None:
    found = files(made("debian-12", "users: [{name: a, sudo: true}]\nsshd: {port: [22, 2222]}"))
    assert found["/etc/sudoers.d/a"]["mode"] == "0440"
    assert found["/etc/ssh/sshd_config.d/10-compose.conf"]["mode"] == "0600"
    assert found["/etc/ssh/sshd_config.d/10-compose.conf"]["content"] == "Port 22\nPort 2222\n"


def test_sudo_is_installed_for_those_who_may_use_it() -> None:
    for distro, stage in (("debian-12", "org.osbuild-compose.apt"), ("fedora-43", "org.osbuild.dnf")):
        own = options(made(distro, "users: [{name: a, sudo: true}]"), stage)[1]
        assert "sudo" in own["packages"]
        assert "sudo" not in options(made(distro, "users: [{name: a}]"), stage)[1]["packages"]


def test_accounts_that_end() -> None:
    users = "users: [{name: a, expiredate: 2030-01-01, force_password_reset: true}, {name: b, expiredate: -1}]"
    found = options(made("debian-12", users), "org.osbuild.users")[0]["users"]
    assert found["a"] == {"expiredate": 21915, "force_password_reset": True, "shell": "/bin/bash"}
    assert found["b"] == {"expiredate": -1, "shell": "/bin/bash"}


def test_languages() -> None:
    text = "locale: en_US.UTF-8\nlanguages: [cs_CZ.UTF-8, de_DE.UTF-8]"
    debian = made("debian-12", text)
    assert [item["language"] for item in options(debian, "org.osbuild.locale")] == [
        *("cs_CZ.UTF-8", "de_DE.UTF-8", "en_US.UTF-8")
    ]
    fedora = made("fedora-43", text)
    assert [item["language"] for item in options(fedora, "org.osbuild.locale")] == ["en_US.UTF-8"]
    packages = options(fedora, "org.osbuild.dnf")[1]["packages"]
    assert {"glibc-langpack-en", "glibc-langpack-cs", "glibc-langpack-de"} <= set(packages)


CERTIFICATE_ONE = """\
-----BEGIN CERTIFICATE-----
MIIBMDCB46ADAgECAhQteX3JV3DvEM5/dWZW87kTmV1GVTAFBgMrZXAwDjEMMAoG
A1UEAwwDb25lMB4XDTI2MTEyODA3Mzk0NVoXDTM2MTEyNTA3Mzk0NVowDjEMMAoG
A1UEAwwDb25lMCowBQYDK2VwAyEAVyMVf7dAYqmTLkFEAvFNVWv0l+Yxu2sw7zJS
EUTaAsujUzBRMB0GA1UdDgQWBBRzLYm7X9T1t5oCUeAy+hhW0grEujAfBgNVHSME
GDAWgBRzLYm7X9T1t5oCUeAy+hhW0grEujAPBgNVHRMBAf8EBTADAQH/MAUGAytl
cANBANCadnQJgryzeAeAcR7X2oRP71M1B7a1d2TFYwm4PKiioRm0ztdXlieWuTS+
S8oA3MfH3FbWHKWPWJMwnJMHjQ4=
-----END CERTIFICATE-----
"""
CERTIFICATE_TWO = """\
-----BEGIN CERTIFICATE-----
MIIBMDCB46ADAgECAhRBdR7+Vf48TfrmV9jj1EVllWtn+DAFBgMrZXAwDjEMMAoG
A1UEAwwDdHdvMB4XDTI2MTEyODA3Mzk0NVoXDTM2MTEyNTA3Mzk0NVowDjEMMAoG
A1UEAwwDdHdvMCowBQYDK2VwAyEALv2SAN3v9M6i0sdUIi0uWN91WoNn4R5AIlOu
KRCzwjqjUzBRMB0GA1UdDgQWBBRSV1ipUmSBn+V62Jyif1YoxA+5bTAfBgNVHSME
GDAWgBRSV1ipUmSBn+V62Jyif1YoxA+5bTAPBgNVHRMBAf8EBTADAQH/MAUGAytl
cANBAPS1KLvOrdyygPcfodwuaHlOPQ8B3d6/YrG1qBUmqfBt2f+vgTIPDRwWpYA/
t6dWgYsJlNe5mdOnKnjzkyHovAM=
-----END CERTIFICATE-----
"""


def test_certificates(tmp_path: Path) -> None:
    both = [CERTIFICATE_ONE, CERTIFICATE_TWO]
    (tmp_path / "both.pem").write_text("Remarks\n" + "\n".join(both))
    text = f"cacerts: [{tmp_path}/both.pem]"
    found = files(made("debian-12", text))
    place = "/usr/local/share/ca-certificates/compose"
    assert [found[f"{place}-{number}.crt"]["content"] for number in (1, 2)] == both
    assert options(made("debian-12", text), "org.osbuild.script") == [
        {"script": "#!/bin/sh\nexec update-ca-certificates\n"}
    ]
    fedora = made("fedora-43", text)
    assert files(fedora)["/etc/pki/ca-trust/source/anchors/compose-2.pem"]["content"] == both[1]
    assert options(fedora, "org.osbuild.script") == [{"script": "#!/bin/sh\nexec update-ca-trust extract\n"}]


def test_own_units_are_enabled() -> None:
    text = "timers: [{name: b, schedule: daily, command: a}]\nfirst_boot: [a, {name: c, content: d}]"
    for distro in ("debian-12", "fedora-43"):
        enabled = options(made(distro, text), "org.osbuild.systemd")[0]["enabled_services"]
        own = ["b.timer", "compose-first-boot-script-1.service", "compose-first-boot-c.service"]
        assert [unit for unit in enabled if unit in own] == own


@pytest.mark.parametrize(
    ("distro", "stage", "packages"),
    [
        ("debian-12", "org.osbuild-compose.apt", {"cron", "cloud-init", "xz-utils"}),
        ("fedora-43", "org.osbuild.dnf", {"cronie", "cloud-init"}),
    ],
)
def test_packages_that_keys_need(distro: str, stage: str, packages: set[str]) -> None:
    text = "cron: [{name: b, schedule: '@daily', command: a}]\ncloud_init: {}\ninitramfs: {compression: xz}"
    assert packages <= set(options(made(distro, text), stage)[1]["packages"])
    assert not packages & set(options(made(distro, ""), stage)[1]["packages"])


def test_initramfs() -> None:
    debian = made("debian-12", "initramfs: {drivers: [nvme, ahci], compression: zstd}")
    assert files(debian)["/usr/share/initramfs-tools/modules.d/compose.conf"]["content"] == "nvme\nahci\n"
    assert files(debian)["/etc/initramfs-tools/conf.d/compose"]["content"] == "COMPRESS=zstd\n"
    script = options(debian, "org.osbuild.script")[0]["script"]
    assert "for driver in nvme ahci; do" in script
    assert script.endswith("\nupdate-initramfs -u -k all")
    fedora = made("fedora-43", "initramfs: {drivers: [nvme, ahci], dracut_modules: [lvm], compression: zstd}")
    assert files(fedora)["/etc/dracut.conf.d/90-compose.conf"]["content"] == (
        'add_drivers+=" nvme ahci "\nadd_dracutmodules+=" lvm "\ncompress="zstd"\n'
    )
    assert "dracut --force" in options(fedora, "org.osbuild.script")[0]["script"]


def test_scripts_from_files(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("#!/bin/bash\ntrue\n")
    text = f"scripts: [{{source: {tmp_path}/a.sh}}, {{content: b}}, c]\nfirst_boot: [{{source: {tmp_path}/a.sh}}]"
    document = made("debian-12", text)
    scripts = [item["script"] for item in options(document, "org.osbuild.script")]
    assert scripts == ["#!/bin/bash\ntrue\n", "#!/bin/sh -e\nb", "#!/bin/sh -e\nc"]
    assert files(document)["/usr/libexec/compose-first-boot/script-1"]["content"] == "#!/bin/bash\ntrue\n"


def test_files_by_address_are_sources() -> None:
    one, two = "a" * 64, "b" * 64
    text = f"files: [{{path: /a, url: 'https://x/a', sha256: {one}}}, {{path: /b, url: 'https://x/a', sha256: {one}}},"
    document = compiled(
        blueprint(f"name: a\ndistro: debian-12\n{text} {{path: /c, url: 'file:///c', sha256: {two}}}]\n")
    )
    assert [item["checksum"] for item in files(document).values() if "checksum" in item] == [
        *(f"sha256:{one}", f"sha256:{one}", f"sha256:{two}")
    ]
    shown = json.loads(pipeline.to_json(document))
    assert set(shown) == {"pipeline", "sources"}
    assert shown["sources"] == {
        "org.osbuild.files": {"urls": {f"sha256:{one}": "https://x/a", f"sha256:{two}": "file:///c"}}
    }
    del document["sources"]
    assert shown["pipeline"] == document
    check_options(document)


def test_containers(tmp_path: Path) -> None:
    (tmp_path / "app.tar").write_bytes(b"app")
    digest = hashlib.sha256(b"app").hexdigest()
    text = (
        f"packages: [podman]\ncontainers: [{{name: a, source: {tmp_path}/app.tar}}, "
        f"{{name: b, url: 'https://x/b', sha256: {'b' * 64}}}]\n"
    )
    for distro in ("debian-12", "fedora-43"):
        document = compiled(blueprint(f"name: a\ndistro: {distro}\n{text}"))
        assert document.pop("sources") == {
            "org.osbuild.files": {
                "urls": {f"sha256:{digest}": f"file://{tmp_path}/app.tar", f"sha256:{'b' * 64}": "https://x/b"}
            }
        }
        check_options(document)
        assert options(document, "org.osbuild-compose.containers") == [
            {"images": [{"name": "a", "checksum": f"sha256:{digest}"}, {"name": "b", "checksum": f"sha256:{'b' * 64}"}]}
        ]


def test_containers_from_registries() -> None:
    one, two = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    document = compiled(
        blueprint(
            "name: a\ndistro: debian-12\npackages: [podman]\ncontainers:\n"
            f"  - {{name: 'r.example:5000/team/app:1', url: 'docker://r.example:5000/team/app:1@{one}'}}\n"
            f"  - {{name: b, url: 'docker://r.example/b@{two}', tls_verify: false}}\n"
        )
    )
    assert document.pop("sources") == {
        "org.osbuild.skopeo": {
            "items": {
                one: {"image": {"name": "r.example:5000/team/app", "digest": one}},
                two: {"image": {"name": "r.example/b", "digest": two, "tls-verify": False}},
            }
        }
    }
    check_options(document)
    assert options(document, "org.osbuild-compose.containers") == [
        {"images": [{"name": "r.example:5000/team/app:1", "checksum": one}, {"name": "b", "checksum": two}]}
    ]


def test_repositories_to_build_from_and_for_the_image() -> None:
    debian = compiled(
        blueprint(
            "name: a\ndistro: debian-12\npackages: [curl]\nrepositories: [default,"
            " {url: http://build, suites: [s], use: build},"
            " {url: http://image, suites: [s], use: image}, {url: http://both, suites: [s]}]\n"
        )
    )
    read = [item["url"] for item in options(debian, "org.osbuild-compose.apt")[1]["repositories"]]
    assert [url for url in read if "debian" not in url] == ["http://build", "http://both"]
    sources = files(debian)["/etc/apt/sources.list.d/debian.sources"]["content"]
    assert re.findall("URIs: (http://[a-z]*)\n", sources) == ["http://image", "http://both"]
    fedora = compiled(
        blueprint(
            "name: a\ndistro: fedora-43\nrepositories: [default, {id: b, baseurl: http://build, use: build},"
            " {id: i, baseurl: http://image, use: image}]\n"
        )
    )
    assert [item.get("baseurl") for item in options(fedora, "org.osbuild.dnf")[1]["repos"]][2:] == ["http://build"]
    assert [item["id"] for item in options(fedora, "org.osbuild.yum.repos")[0]["repos"]] == ["i"]


def test_nothing_is_written_for_nothing() -> None:
    assert names(made("debian-12", "")) == names(made("debian-12", "sysctl: {}\nmodprobe: {}\ntmpfiles: []"))


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (
            "distro: debian-12\nsshd: {port: [22]}\n",
            "b.yaml:3:1: debian-12 does not support `sshd`: `packages` has no openssh-server",
            "add it or remove the key",
        ),
        (
            "distro: fedora-43\nsshd: {port: [22, 2222]}\n",
            "b.yaml:3:8: fedora-43 does not support `sshd.port`: SELinux lets sshd listen on port 22 only",
            "set selinux: permissive, or remove the key",
        ),
        (
            "distro: debian-12\nrepositories: [{url: http://a, suites: [s], use: image}]\n",
            "b.yaml:3:1: no repository to build from: all of `repositories` are for the image only",
            "add `default`, the distribution's own repositories",
        ),
        (
            "distro: fedora-43\ncontainers: [{name: a, url: 'http://a', sha256: SHA}]\n".replace("SHA", "a" * 64),
            "b.yaml:3:1: fedora-43 does not support `containers`: "
            "`packages` has no container engine: podman, buildah or cri-o",
            "add one or remove the key",
        ),
        (
            "distro: debian-12\npackages: [nginx, '@web']\n",
            "b.yaml:3:19: debian-12 does not support `packages.1`: @web is not the name of a package",
            "it has no package groups: name packages; its tasks are packages such as task-ssh-server",
        ),
        (
            "distro: debian-12\npackages: [a+b=1.0~1, nginx/bookworm-backports, Foo]\n",
            "b.yaml:3:49: debian-12 does not support `packages.2`: Foo is not the name of a package",
            "write foo",
        ),
        (
            "distro: debian-12\nexclude: [nano=1]\n",
            "b.yaml:3:11: debian-12 does not support `exclude.0`: nano=1 is not the name of a package",
            "a name in lower case, without a version",
        ),
        (
            "distro: debian-12\ninitramfs: {dracut_modules: [lvm]}\n",
            "b.yaml:3:13: debian-12 does not support `initramfs.dracut_modules`: its initramfs is made by "
            "initramfs-tools",
            "add dracut to `packages`, or name kernel modules in `initramfs.drivers`",
        ),
    ],
)
def test_refused(content: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        compiled(blueprint(f"name: a\n{content}"))
    assert (str(caught.value), caught.value.hint) == (message, hint)
    compiled(blueprint("name: a\ndistro: fedora-43\nselinux: permissive\nsshd: {port: [2222]}\n"))


def test_lines_and_pairs() -> None:
    assert filters.lines(["a", 1], "<", ">") == "<a>\n<1>\n"
    assert filters.pairs({"a": None, "b": True, "c": (), "d": [1, False], "e": ""}, "=") == "b=yes\nd=1\nd=no\ne=\n"


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        ("", ["C.UTF-8"]),  # PAM complains at each login where no file says which it is
        ("locale: cs_CZ.UTF-8", ["cs_CZ.UTF-8"]),
    ],
)
def test_a_debian_system_always_has_a_language(text: str, languages: list[str]) -> None:
    stages = compiled(blueprint(f"name: a\ndistro: debian-13\n{text}\n"))["stages"]
    made = [stage["options"]["language"] for stage in stages if stage["name"] == "org.osbuild.locale"]
    assert made == languages
