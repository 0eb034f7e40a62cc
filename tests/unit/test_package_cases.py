"""What blueprints in tests/cases say of packages: versions, files and repositories, and answers to their questions."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.compile import own_repositories
from osbuild_compose.compile.provenance import without_secrets
from osbuild_compose.document import reader
from osbuild_compose.errors import ComposeError
from tests.unit.compile.compiling import CATALOG, blueprint, compiled, files, options
from tests.unit.test_cases import CASES, made


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
