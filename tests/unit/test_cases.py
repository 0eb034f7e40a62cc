"""What the blueprints in tests/cases stand for, as far as that is known without building them."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.compile import own_repositories
from osbuild_compose.compile.provenance import without_secrets
from osbuild_compose.document import reader
from osbuild_compose.errors import ComposeError
from tests.conftest import REPO
from tests.unit.compile.compiling import CATALOG, blueprint, check_options, compiled, files, options

CASES = REPO / "tests/cases"
APT = "org.osbuild-compose.apt"


def made(name: str) -> dict[str, Any]:
    """The pipeline of that case, whose options stages take."""
    found = compiled(blueprint((CASES / f"{name}.yaml").read_text()))
    check_options({key: found[key] for key in ("name", "stages", "assembler")})
    return found


def users(name: str) -> dict[str, dict[str, Any]]:
    """The users of the case, as the stage gets them."""
    (found,) = options(made(name), "org.osbuild.users")
    accounts: dict[str, dict[str, Any]] = found["users"]
    return accounts


def test_password_locked_as_in_shadow() -> None:
    found = [user["password"] for user in users("password-locked-as-in-shadow").values()]
    assert found[:3] == ["!!", "!*", "*LK*"]
    assert found[3].startswith("!$6$abcdefgh$KcPCgrcNRSUDaH/")


@pytest.mark.parametrize("name", ["user-name-dollar", "user-name-with-dot"])
def test_user_name(name: str) -> None:
    assert set(users(name)) in ({"pc$"}, {"john.doe", "4you", "Admin"})


def test_user_name_with_dot_and_sudo() -> None:
    found = {path: file["content"] for path, file in files(made("user-name-with-dot")).items() if "sudoers" in path}
    assert found == {
        "/etc/sudoers.d/john+doe": '"john.doe" ALL=(ALL:ALL) ALL\n',
        "/etc/sudoers.d/Admin": '"Admin" ALL=(ALL:ALL) NOPASSWD: ALL\n',
    }


def test_sudo_for_a_user_who_is_called_all() -> None:
    """In sudoers(5), ALL without quotes is everybody."""
    found = files(compiled(blueprint("name: a\ndistro: debian-12\nusers: [{name: ALL, sudo: nopasswd}]\n")))
    assert found["/etc/sudoers.d/ALL"]["content"] == '"ALL" ALL=(ALL:ALL) NOPASSWD: ALL\n'


def test_user_gid_without_group() -> None:
    assert users("user-gid-without-group")["ops"]["gid"] == 1200


def test_user_in_own_group() -> None:
    assert users("user-in-own-group")["ops"]["groups"] == ["ops"]


def test_group_already_there() -> None:
    assert options(made("group-already-there"), "org.osbuild.groups") == [{"groups": {"www-data": {}}}]


def test_group_of_the_users_name() -> None:
    assert users("group-of-the-users-name")["ops"]["gid"] == "ops"


def test_size_500_mb() -> None:
    partitions = made("size-500-mb")["assembler"]["options"]["partitions"]
    (sectors,) = [item["size"] for item in partitions if item.get("filesystem", {}).get("mountpoint") == "/srv"]
    assert sectors * 512 == 500_000_256


def test_directory_that_is_there() -> None:
    found = [
        stage["directories"]
        for stage in options(made("directory-that-is-there"), "org.osbuild-compose.files")
        if "directories" in stage
    ]
    assert found == [[{"path": "/var/tmp"}, {"path": "/root"}]]


def test_firewall_port_by_name() -> None:
    (firewall,) = options(made("firewall-port-by-name"), "org.osbuild.firewall")
    assert firewall["ports"] == ["22:tcp", "143:tcp"]


def test_swapfile() -> None:
    document = made("swapfile")
    assert "swapfile.swap" in options(document, "org.osbuild.systemd")[0]["enabled_services"]
    assert "mkswap /swapfile" in options(document, "org.osbuild.script")[-1]["script"]


def test_mount_point_that_no_package_makes() -> None:
    """The stage that writes fstab makes the directories."""
    (fstab,) = options(made("mount-point-that-no-package-makes"), "org.osbuild.fstab")
    assert {"/data", "/srv/deep/er"} <= {entry["path"] for entry in fstab["filesystems"]}


@pytest.mark.parametrize("word", ["C.utf8", "C.UTF8", "C.UTF-8"])
def test_locales_as_they_are_listed(word: str) -> None:
    assert blueprint(f"name: a\ndistro: debian-12\nlocale: {word}\n").locale == "C.UTF-8"


@pytest.mark.parametrize("name", ["de-latin1-nodeadkeys", "jp-OADG109A", "ANSI-dvorak", "bg_bds-utf8", "3l", "sr-cy"])
def test_keyboards_as_they_are_listed(name: str) -> None:
    assert blueprint(f"name: a\ndistro: fedora-43\nkeyboard: {name}\n").keyboard == name


@pytest.mark.parametrize(
    ("name", "hint", "suggestion"),
    [
        ("rhel-9", "made from the sources of RHEL are: almalinux-9, centos-9, rocky-9;", ""),
        ("rhel-9.4", "almalinux-9, centos-9, rocky-9;", ""),
        ("debian-11", "of debian there are: debian-12, debian-13;", "debian-12"),
        ("bullseye", "of debian there are: debian-12, debian-13;", "debian-12"),
        ("bookworm", "did you mean `debian-12`?", "debian-12"),
        ("debian-13.1", "did you mean `debian-13`?", "debian-13"),
        ("centos-stream-9", "did you mean `centos-9`?", "centos-9"),
        ("ubuntu-24.04", "there is no template for it; `--templates` takes your own", ""),
    ],
)
def test_other_names_of_distributions(name: str, hint: str, suggestion: str) -> None:
    with pytest.raises(ComposeError) as caught:
        blueprint(f"name: a\ndistro: {name}\n")
    assert hint in caught.value.hint
    assert caught.value.suggestion == suggestion


def test_accounts_of_packages_keep_their_shell() -> None:
    found = options(
        compiled(blueprint("name: a\ndistro: debian-12\nusers: [{name: messagebus, groups: [adm]}, {name: ops}]\n")),
        "org.osbuild.users",
    )[0]["users"]
    assert "shell" not in found["messagebus"]
    assert found["ops"]["shell"] == "/bin/bash"


def test_kernel_in_packages() -> None:
    """Also with a version, and for a format whose own kernel would be another."""
    text = (CASES / "kernel-in-packages.yaml").read_text()
    for wanted in (text, text.replace("linux-image-amd64", "linux-image-amd64=6.1.170-1")):
        base, own = options(compiled(blueprint(wanted), Format.QCOW2), APT)
        assert [name for name in base["packages"] if name.startswith("linux-image-")] == own["packages"]


def test_iso_usb() -> None:
    """tests/boot/test_live.py starts such an image from a USB stick."""
    (base,) = options(compiled(blueprint((CASES / "iso-usb.yaml").read_text()), Format.ISO), APT)[:1]
    assert "linux-image-amd64" in base["packages"]
    assert "linux-image-cloud-amd64" not in base["packages"]


def test_resolvconf() -> None:
    """Which package was removed: test_what_was_removed_is_told in tests/integration/test_apt_stage.py."""
    (units,) = options(made("resolvconf"), "org.osbuild.systemd")
    assert "systemd-resolved" not in units["enabled_services"]
    assert "compose-name-servers.service" in units["enabled_services"]


@pytest.mark.parametrize(
    ("case", "name"), [("postfix", "mail.example.org"), ("postfix13", "mail.example.org"), ("mailname", "web")]
)
def test_host_name(case: str, name: str) -> None:
    """What packages make of it: test_one_of_everything in tests/integration/apt/test_like_mmdebstrap.py."""
    stages = made(case)["stages"]
    assert [stage["name"] for stage in stages][:3] == [APT, "org.osbuild.hostname", APT]
    assert stages[1]["options"] == {"hostname": name}
    assert {"exim4", "postfix"}.intersection(stages[2]["options"]["packages"])


def test_two_network_managers() -> None:
    document = made("two-network-managers")
    assert options(document, "org.osbuild.systemd") == [{"enabled_services": ["systemd-resolved"]}]
    assert [path for path in files(document) if "/systemd/network" in path] == []


def test_exclude_base() -> None:
    document = made("exclude-base")
    (base,) = options(document, APT)
    assert "systemd-resolved" not in base["packages"]
    assert "systemd-resolved" not in options(document, "org.osbuild.systemd")[0]["enabled_services"]


def test_package_left_out_as_in_kickstart() -> None:
    with pytest.raises(ComposeError) as caught:
        made("package-left-out-as-in-kickstart")
    assert caught.value.hint == "to leave it out, write: exclude: [firewalld]"


def test_every_case_is_tested() -> None:
    texts = "".join(path.read_text() for path in (REPO / "tests").rglob("test_*.py"))
    stems = {path.stem for path in CASES.iterdir() if path.name != "README.md"}
    assert {stem for stem in stems if stem not in texts and f"test_{stem.replace('-', '_')}" not in texts} == set()


def apt(name: str) -> dict[str, Any]:
    """The options of the stage that installs the packages of the case."""
    return options(made(name), "org.osbuild-compose.apt")[-1]


def test_no_debconf() -> None:
    answer = {"package": "postfix", "question": "postfix/main_mailer_type", "type": "select"}
    assert apt("no-debconf")["answers"] == [{**answer, "value": "Satellite system"}]
    base = options(made("no-debconf"), "org.osbuild-compose.apt")[0]
    assert "answers" not in base  # so that it stays the same for all blueprints


def test_answers_to_the_base_system_are_given_to_it() -> None:
    text = "name: a\ndistro: debian-12\npackages: [postfix]\ndebconf: {tzdata: {tzdata/Areas: Europe}, "
    text += "postfix: {postfix/root: true, postfix/many: [a, b], postfix/port: 25}}\n"
    base, own = options(compiled(blueprint(text)), "org.osbuild-compose.apt")
    assert base["answers"] == [{"package": "tzdata", "question": "tzdata/Areas", "value": "Europe"}]
    assert own["answers"] == [
        *base["answers"],
        {"package": "postfix", "question": "postfix/root", "type": "boolean", "value": "true"},
        {"package": "postfix", "question": "postfix/many", "type": "multiselect", "value": "a, b"},
        {"package": "postfix", "question": "postfix/port", "value": "25"},
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("d-i mirror/country string manual", "a question of Debian's installer"),
        ("postfix postfix/mailname", "is not an answer to a question"),
        ("# a comment", "is not an answer to a question"),
        ("postfix postfix/mailname text area x", None),
        ("postfix postfix/mailname words x", "`words` is not a type of questions"),
        ("Postfix postfix/mailname string x", '"Postfix" is not the name of a package'),
        ("postfix post$fix string x", '"post$fix" is not the name of a question'),
        ("postfix postfix/mailname string x\\\\", "must be one line, without a backslash at its end"),
        ("postfix postfix/mailname boolean yes", "is true or false"),
    ],
)
def test_lines_for_debconf(line: str, message: str | None) -> None:
    text = f'name: a\ndistro: debian-12\ndebconf: ["{line}"]\n'
    if message is None:
        assert blueprint(text).debconf[0].value == "area x"
        return
    with pytest.raises(ComposeError) as caught:
        blueprint(text)
    assert message in caught.value.brief
    assert str(caught.value.location) == "b.yaml:3:11"


def test_a_question_is_answered_once() -> None:
    with pytest.raises(ComposeError, match="a/b twice"):
        blueprint('name: a\ndistro: debian-12\ndebconf: ["a a/b string c", "a a/b string d"]\n')


def test_passwords_for_debconf() -> None:
    """They are in the pipeline, of which the blueprint's author is told, and not in the image's provenance."""
    text = "name: a\ndistro: debian-12\ndebconf: {slapd: {slapd/password1: x, slapd/domain: y, "
    found = blueprint(text + "slapd/key: {type: password, value: z}}}\n")
    assert [warning.brief.split()[3] for warning in found.warnings] == ["slapd/password1", "slapd/key"]
    assert found.document
    assert without_secrets(found.document.data)["debconf"] == {"slapd": {"slapd/domain": "y"}}
    lines = blueprint('name: a\ndistro: debian-12\ndebconf: ["a a/k password x", "a a/b string y"]\n')
    assert lines.document
    assert without_secrets(lines.document.data)["debconf"] == ["a a/b string y"]


def test_debconf_is_debians() -> None:
    with pytest.raises(ComposeError, match="`debconf`: its packages ask no questions"):
        compiled(blueprint("name: a\ndistro: fedora-43\ndebconf: {a: {a/b: c}}\n"))


def test_no_recommends() -> None:
    assert [one["recommends"] for one in options(made("no-recommends"), "org.osbuild-compose.apt")] == [False, True]
    fedora = compiled(blueprint("name: a\ndistro: fedora-43\npackages: [a]\nrecommends: true\n"))
    assert [one["install_weak_deps"] for one in options(fedora, "org.osbuild.dnf")] == [False, True]


def test_package_version_glob_debian() -> None:
    assert apt("package-version-glob-debian")["packages"][:2] == ["nginx=1.22*", "sed:amd64"]


@pytest.mark.parametrize(
    ("distro", "package", "message", "hint"),
    [
        ("debian-12", "nginx>=1.2", "nginx>=1.2 is not the name of a package", "write nginx=1.2* for those"),
        ("debian-12", "nginx (>= 1.2)", "nginx (>= 1.2) is not the name", "write nginx=1.2* for those"),
        ("debian-12", "nginx == 1.2", "nginx == 1.2 is not the name", "write nginx=1.2"),
        ("debian-12", "nginx_1.2_amd64", "is not the name", "write nginx=1.2"),
        ("debian-12", "lamp-server^", "is not the name", "tasks are packages: task-lamp-server"),
        ("debian-12", "/usr/bin/vim", "is not the name", "name the package that has this file"),
        ("debian-12", "libc6:i386=2.36*", "its images have no multi-arch", "write libc6=2.36*"),
        ("fedora-43", "nginx=1.2", "not dnf's notation of a version", "write nginx-1.2"),
        ("fedora-43", "nginx>=1.2", "not dnf's notation of a version", "write nginx >= 1.2, with spaces"),
        ("fedora-43", "nginx:amd64", "not dnf's notation of an architecture", "write nginx.x86_64, or nginx"),
        ("fedora-43", "glibc.aarch64", "of another architecture than x86_64", "write glibc"),
    ],
)
def test_notations_of_packages(distro: str, package: str, message: str, hint: str) -> None:
    with pytest.raises(ComposeError) as caught:
        compiled(
            blueprint(
                f'name: a\ndistro: {distro}\npackages: [{{url: "http://a/b", sha256: "{"0" * 64}"}}, "{package}"]\n'
            )
        )
    assert (message in caught.value.brief, hint in caught.value.hint) == (True, True), caught.value
    assert caught.value.path == "packages.1"


@pytest.mark.parametrize(
    "package", ["nginx", "nginx-1.22*", "php-*", "nginx >= 1.2", "glibc.i686", "python3.11", "@core"]
)
def test_notations_of_dnf(package: str) -> None:
    compiled(blueprint(f'name: a\ndistro: fedora-43\npackages: ["{package}"]\n'))


@pytest.mark.parametrize("name", ["openssh-server=1:9*", "openssh-server/bookworm", "openssh-server:amd64"])
def test_what_depends_on_a_package_knows_it_with_its_version(name: str) -> None:
    """Without an ssh server, its options are refused."""
    found = files(compiled(blueprint(f'name: a\ndistro: debian-12\npackages: ["{name}"]\nsshd: {{port: [22]}}\n')))
    assert any(path.startswith("/etc/ssh/sshd_config.d/") for path in found)


def test_flat_repository() -> None:
    found = apt("flat-repository")["repositories"][-1]
    assert (found["suites"], "components" in found) == (["./"], False)
    sources = files(made("flat-repository"))["/etc/apt/sources.list.d/debian.sources"]["content"]
    assert sources.endswith(
        "\nURIs: https://example.org/flat/\nSuites: ./\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


@pytest.mark.parametrize(
    ("repository", "message"),
    [
        ('{url: "http://a.b", suites: [./], components: [main]}', "a flat repository has no components"),
        ('{url: "http://a.b", suites: [./, stable]}', "stable is a suite, and the others are directories"),
        ('{url: "http://a.b", suites: [stable], components: []}', "only a flat repository has no components"),
        ('{url: "http://a.b", suites: [../]}', "is not the name of a suite"),
        ('{url: "file:///nowhere/at/all", suites: [./]}', "/nowhere/at/all does not exist"),
        ('{url: "file://srv/repo", suites: [./]}', "names the machine srv"),
        ('{url: "file:///usr", suites: [./], use: image}', "which the image does not have"),
        ('{url: "http://a.b", suites: [c], check_signatures: false, keys: [k]}', "signatures are not checked"),
    ],
)
def test_wrong_repositories(repository: str, message: str) -> None:
    with pytest.raises(ComposeError) as caught:
        blueprint(f"name: a\ndistro: debian-12\nrepositories: [default, {repository}]\n")
    assert any(message in error.brief for error in caught.value.each())


def test_same_archive_twice() -> None:
    """With one set of keys and options for each, in the build and in the image."""
    *default, other = apt("same-archive-twice")["repositories"]
    assert other["keys"] == default[0]["keys"]
    assert other["check_valid_until"] is default[0]["check_valid_until"] is False
    sources = files(made("same-archive-twice"))["/etc/apt/sources.list.d/debian.sources"]["content"]
    stanzas = [stanza for stanza in sources.split("\n\n") if "URIs: http://ftp.debian.org/debian\n" in stanza]
    assert [("Check-Valid-Until: no" in stanza, "archive-keyring.gpg" in stanza) for stanza in stanzas] == [
        (True, True)
    ] * 2


def test_kernel_from_backports() -> None:
    found = apt("kernel-from-backports")
    assert found["packages"] == ["linux-image-amd64/bookworm-backports"]
    assert found["preferences"] == [{"pin": "release bookworm-backports", "priority": 100}]
    pins = files(made("kernel-from-backports"))["/etc/apt/preferences.d/compose.pref"]["content"]
    assert pins == "Package: *\nPin: release bookworm-backports\nPin-Priority: 100\n"


@pytest.mark.parametrize(
    ("repository", "pins"),
    [
        ('{url: "https://own.example.org/a", suites: [stable], priority: 900}', ['origin "own.example.org"']),
        (
            '{url: "http://ftp.debian.org/debian", suites: [bookworm], components: [contrib], priority: 10}',
            ["release c=contrib"],
        ),
        ('{url: "http://ftp.debian.org/debian", suites: [bookworm], priority: 10}', []),
    ],
)
def test_priorities(repository: str, pins: list[str]) -> None:
    wanted = blueprint(f"name: a\ndistro: debian-12\npackages: [b]\nrepositories: [default, {repository}]\n")
    if pins:
        found = options(compiled(wanted), "org.osbuild-compose.apt")[-1]["preferences"]
        assert [one["pin"] for one in found] == pins
        return
    with pytest.raises(ComposeError, match="apt cannot tell this repository from others") as caught:
        compiled(wanted)
    assert caught.value.path == "repositories.1.priority"


def test_package_files(tmp_path: Path) -> None:
    text = (CASES / "package-files.yaml").read_text()
    (tmp_path / "tools_1.0_amd64.deb").write_bytes(b"tools")
    digest = f"sha256:{hashlib.sha256(b'tools').hexdigest()}"
    found = compiled(load.check(reader.parse(text.encode(), str(tmp_path / "b.yaml")), CATALOG.releases))
    archives = options(found, "org.osbuild-compose.apt")[-1]["archives"]
    assert archives == [digest, f"sha256:{'0' * 63}1"]
    urls = found["sources"]["org.osbuild.files"]["urls"]
    assert urls == {
        digest: f"file://{tmp_path}/tools_1.0_amd64.deb",
        archives[1]: "https://example.org/agent_2.0_amd64.deb",
    }
    with pytest.raises(ComposeError, match="is a package of another family"):
        compiled(blueprint(text.replace("debian-12", "fedora-43").replace("  - ./tools_1.0_amd64.deb\n", "")))


def test_repository_on_this_machine(tmp_path: Path) -> None:
    """Its files are sources by their digests; those outside and those of other architectures are left alone."""
    repodata = tmp_path / "repo/repodata"
    repodata.mkdir(parents=True)
    (tmp_path / "repo/a.rpm").write_bytes(b"a")
    common = 'xmlns="http://linux.duke.edu/metadata/common"'
    packages = "".join(
        f'<package><arch>{arch}</arch><checksum type="sha256">{digit * 64}</checksum>'
        f'<location href="{path}"/></package>'
        for arch, digit, path in (("noarch", "1", "a.rpm"), ("src", "2", "a.rpm"), ("x86_64", "3", "gone.rpm"))
    )
    (repodata / "primary.xml.gz").write_bytes(gzip.compress(f"<metadata {common}>{packages}</metadata>".encode()))
    (repodata / "repomd.xml").write_text(
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        '<location href="repodata/primary.xml.gz"/></data></repomd>'
    )
    text = (CASES / "repository-on-this-machine.yaml").read_text()
    wanted = load.check(reader.parse(text.encode(), str(tmp_path / "b.yaml")), CATALOG.releases)
    read = own_repositories.with_local_files(wanted, CATALOG.release("fedora-43"))
    (files,) = [item.checksums for item in read.repositories.own]
    assert sorted(files) == ["a.rpm", "repodata/primary.xml.gz", "repodata/repomd.xml"]
    assert files["a.rpm"] == f"sha256:{'1' * 64}"
    found = compiled(replace(read, packages=("a",)))
    repository = options(found, "org.osbuild.dnf")[-1]["repos"][-1]
    assert repository["files"] == files
    assert str(tmp_path) not in str(options(found, "org.osbuild.dnf"))
    assert found["sources"]["org.osbuild.files"]["urls"][files["a.rpm"]] == f"file://{tmp_path}/repo/a.rpm"
    assert options(found, "org.osbuild.yum.repos") == []
    (repodata / "primary.xml.gz").write_bytes(
        gzip.compress(f"<metadata {common}>{packages.replace('a.rpm', '../b')}</metadata>".encode())
    )
    (tmp_path / "b").write_bytes(b"")
    with pytest.raises(ComposeError, match="names a file outside of it") as caught:
        own_repositories.with_local_files(wanted, CATALOG.release("fedora-43"))
    assert caught.value.path == "repositories.1"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ('preseed: ["a a/b string c"]', "`debconf`"),
        ("install_recommends: true", "`recommends`"),
        ("weak_deps: true", "`recommends`"),
        ("repositories: [{url: 'http://a.b', suites: [c], trusted: true}]", "`check_signatures`"),
        ("repositories: [{url: 'http://a.b', suites: [c], pin_priority: 900}]", "`priority`"),
        (
            'repositories: ["deb [trusted=yes] file:/srv/own ./"]',
            "{url: file:/srv/own, suites: [./], check_signatures: false}",
        ),
    ],
)
def test_words_of_apt_and_dnf(text: str, hint: str) -> None:
    with pytest.raises(ComposeError) as caught:
        blueprint(f"name: a\ndistro: debian-12\n{text}\n")
    assert hint in caught.value.hint
