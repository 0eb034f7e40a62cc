"""Distributions are directories: the built-in ones, a user's own, and ones that inherit."""

import os
from pathlib import Path

import pytest

from osbuild_compose.distro import catalog
from osbuild_compose.distro.repository import ARMOUR, NamedRepository
from osbuild_compose.document import doc_links, reader
from osbuild_compose.document.reader import Document
from osbuild_compose.errors import ComposeError, InputError, TemplateError

LAB = """\
inherits: debian
title: Lab
architectures: {x86_64: {kernel: linux-image-amd64}}
releases:
  lab-1: {inherits: debian-12, title: Lab 1, packages: [lab-tools]}
"""


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def directory(tmp_path: Path, text: str, name: str = "lab") -> Path:
    (tmp_path / name).mkdir()
    (tmp_path / name / "distro.yaml").write_text(text)
    return tmp_path


def test_built_in() -> None:
    releases = catalog.find().releases
    assert {"debian-12", "debian-13"} <= set(releases)
    for release in map(catalog.find().release, releases):
        assert release.repositories
        assert all("-----BEGIN PGP PUBLIC KEY BLOCK-----" in key for item in release.repositories for key in item.keys)


def test_a_derivative_in_a_few_lines(tmp_path: Path) -> None:
    found = catalog.find([directory(tmp_path, LAB)]).releases
    lab, debian = found["lab-1"], found["debian-12"]
    assert lab.repositories == debian.repositories
    assert lab.packages == (*debian.packages, "lab-tools")
    assert lab.architectures["x86_64"].kernel == "linux-image-amd64"
    assert lab.architectures["x86_64"].bootloader == debian.architectures["x86_64"].bootloader
    assert lab.template == debian.template == "debian/pipeline.yaml.j2"
    assert debian.architectures["x86_64"].kernel == "linux-image-cloud-amd64"


def test_a_derivative_with_a_template_of_its_own(tmp_path: Path) -> None:
    (directory(tmp_path, LAB) / "lab/pipeline.yaml.j2").write_text("")
    assert catalog.find([tmp_path]).releases["lab-1"].template == "lab/pipeline.yaml.j2"


def test_ones_own_replaces_the_built_in(tmp_path: Path) -> None:
    text = (catalog.built_in() / "debian/distro.yaml").read_text().replace("Debian 12 (bookworm)", "Mine")
    own = directory(tmp_path, text, "debian")
    (own / "debian/keys").symlink_to(catalog.built_in() / "debian/keys")
    assert catalog.find([own]).releases["debian-12"].title == "Mine"


def test_a_built_in_distribution_with_single_values_changed(tmp_path: Path) -> None:
    text = "inherits: debian\nreleases:\n  debian-12: {packages: [lab-tools]}\n"
    found, before = catalog.find([directory(tmp_path, text, "debian")]).releases, catalog.find().releases
    assert set(found) == set(before)
    assert found["debian-12"].packages == (*before["debian-12"].packages, "lab-tools")
    assert found["debian-12"].repositories == before["debian-12"].repositories
    assert found["debian-13"] == before["debian-13"]


def test_directories_in_front_of_each_other(tmp_path: Path) -> None:
    for name, package in (("one", "first"), ("two", "second")):
        (tmp_path / name).mkdir()
        directory(tmp_path / name, f"inherits: debian\nvariables: {{{name}: {package}}}\n", "debian")
    release = catalog.find([tmp_path / "one", tmp_path / "two"]).releases["debian-12"]
    assert (release.variables["one"], release.variables["two"]) == ("first", "second")
    assert release.variables["shell"] == "/bin/bash"


@pytest.mark.parametrize(
    ("owner", "changed", "same"),
    [
        ("rocky", {"rocky-9", "rocky-10"}, "almalinux-9"),
        ("centos", {"centos-9", "rocky-9", "almalinux-9"}, "fedora-43"),
    ],
)
def test_a_template_alone_is_that_of_its_distribution(tmp_path: Path, owner: str, changed: set[str], same: str) -> None:
    (tmp_path / owner).mkdir()
    (tmp_path / owner / "pipeline.yaml.j2").write_text("")
    found, before = catalog.find([tmp_path]).releases, catalog.find().releases
    assert {found[name].template for name in changed} == {f"{owner}/pipeline.yaml.j2"}
    assert found[same].template == before[same].template


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("[]", "must be a mapping"),
        ("title: X\n", "lacks the key `architectures`"),
        (LAB + "colour: red\n", "unknown key `colour`"),
        (LAB.replace("inherits: debian\n", "inherits: absent\n"), "there is no absent/distro.yaml"),
        (LAB.replace("inherits: debian\n", "inherits: lab\n"), "inherits itself"),
        (
            LAB.replace("debian-12", "debian-1"),
            "cannot inherit debian-1",
        ),
        (LAB.replace("inherits: debian-12, ", ""), "lacks the key `repositories`"),
    ],
)
def test_wrong_distro_yaml(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        catalog.find([directory(tmp_path, text)]).read_all()
    errors: tuple[ComposeError, ...] = caught.value.each()
    assert any(message in error.brief for error in errors), [error.brief for error in errors]


def test_templates_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no directory"):
        catalog.find([tmp_path / "gone"])


RPM = """\
title: Lab
architectures: {x86_64: {name: x86_64, kernel: kernel}}
repositories: [{id: base, baseurl: http://a}, {id: other, metalink: http://b, keys: [OTHER]}]
releases:
  lab-1: {title: Lab 1, keys: [keys/lab.asc]}
  lab-2: {title: Lab 2, repositories: [{id: own, mirrorlist: http://c, keys: [keys/lab.asc]}]}
""".replace("OTHER", f'"{ARMOUR}\\n"')


def test_repositories_and_keys_are_said_once_for_all(tmp_path: Path) -> None:
    (directory(tmp_path, RPM) / "lab/keys").mkdir()
    (tmp_path / "lab/keys/lab.asc").write_text(f"{ARMOUR}\nlab\n")
    found = catalog.find([tmp_path])
    assert found.release("lab-1").repositories == (
        NamedRepository("base", baseurl="http://a", keys=(f"{ARMOUR}\nlab\n",)),
        NamedRepository("other", metalink="http://b", keys=(f"{ARMOUR}\n",)),
    )
    assert [
        repository.id for repository in found.release("lab-2").repositories if isinstance(repository, NamedRepository)
    ]
    assert found.releases["lab-1"].family.name == "RPM"
    assert found.releases["debian-12"].family.name == "Debian"


@pytest.mark.parametrize(
    ("key", "message", "hint"),
    [
        ("keys/gone.asc", "lab-1: cannot read the key {}/lab/keys/gone.asc: No such file or directory", ""),
        (
            "/usr/share/distribution-gpg-keys/lab/gone",
            "lab-1: cannot read the key /usr/share/distribution-gpg-keys/lab/gone: No such file or directory",
            "install the package distribution-gpg-keys",
        ),
        ("/etc/passwd", "lab-1: /etc/passwd is not an armoured public key", ""),
    ],
)
def test_a_missing_key_matters_only_to_its_release(tmp_path: Path, key: str, message: str, hint: str) -> None:
    found = catalog.find([directory(tmp_path, RPM.replace("keys/lab.asc", key))])
    with pytest.raises(TemplateError) as caught:
        found.release("lab-1")
    assert caught.value.brief == message.format(tmp_path)
    assert caught.value.hint == hint
    assert found.release("debian-12").repositories


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("keys: [keys/lab.asc]}\n  lab-2", "}\n  lab-2", "`lab-1` has a repository without `keys`"),
        ("baseurl: http://a}", "baseurl: a}", "must be an address"),
        ("baseurl: http://a}", "baseurl: http://a, metalink: http://b}", "exactly one of"),
        ("{id: base, ", "{role: main, suites: [s], ", "unknown key `role`"),
        ("{id: base, baseurl: http://a}", "{role: main, url: http://a, suites: [s]}", "two forms"),
        (RPM.split("\n")[2] + "\n", "", "`lab-1` lacks the key `repositories`"),
    ],
)
def test_wrong_repositories(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RPM
    with pytest.raises(TemplateError) as caught:
        catalog.find([directory(tmp_path, RPM.replace(old, new))]).read_all()
    assert any(message in error.brief for error in caught.value.each()), [e.brief for e in caught.value.each()]


def test_errors_of_all_files_with_the_page_about_them(tmp_path: Path) -> None:
    directory(tmp_path, LAB + "pakages: [a]\nvariables: no\n")
    directory(tmp_path, LAB.replace("inherits: debian", "inherits: debain"), "other")
    with pytest.raises(TemplateError) as caught:
        catalog.find([tmp_path]).read_all()
    found = [(Path(one.location.file).parent.name, one.brief) for one in caught.value.each() if one.location]
    assert [name for name, _ in found] == ["lab", "lab", "other"]
    assert "unknown key `pakages`" in str(found)
    assert {one.reference for one in caught.value.each()} == {"docs/reference/templates.md#distroyaml"}


def documents_read(found: catalog.Catalog, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The distributions whose distro.yaml is parsed from now on, in that order."""
    read: list[str] = []
    parse = reader.parse

    def recorded(raw: bytes, file: str) -> Document:
        read.append(Path(file).parent.name)
        return parse(raw, file)

    monkeypatch.setattr(reader, "parse", recorded)
    assert "debian-12" in found.releases
    return read


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("debian-12", ["debian"]),
        ("fedora-43", ["fedora"]),
        ("rocky-9", ["rocky", "centos", "fedora"]),
        ("lab-1", ["lab", "debian"]),
    ],
)
def test_only_what_is_asked_for_and_what_it_inherits_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, expected: list[str]
) -> None:
    found = catalog.find([directory(tmp_path, LAB)])
    read = documents_read(found, monkeypatch)
    assert set(found.releases) >= {"lab-1", "debian-13", "fedora-45", "rocky-10"}
    assert "debian-99" not in found.releases
    assert read == []
    assert found.release(release).name == release
    assert found.release(release).name == release
    assert read == expected


def test_a_file_is_parsed_again_when_its_content_changes_and_never_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = directory(tmp_path, LAB) / "lab/distro.yaml"
    read = documents_read(catalog.find([tmp_path]), monkeypatch)
    for title, expected in (("Lab 1", ["lab", "debian"]), ("Lab 1", []), ("Lab X", ["lab"]), ("Lab 1", [])):
        status = file.stat()
        file.write_text(LAB.replace("title: Lab 1", f"title: {title}"))
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same size, too
        read.clear()
        assert catalog.find([tmp_path]).releases["lab-1"].title == title
        assert read == expected


def test_what_is_wrong_is_shown_with_its_place_also_for_a_file_in_the_cache(tmp_path: Path) -> None:
    directory(tmp_path, LAB + "colour: red\n")
    for _ in range(2):
        with pytest.raises(TemplateError) as caught:
            catalog.find([tmp_path]).release("lab-1")
        assert str(caught.value.location) == f"{tmp_path}/lab/distro.yaml:6:1"
    (tmp_path / "lab/distro.yaml").write_text(LAB.replace("inherits: debian-12", "inherits: debian-99"))
    for _ in range(2):
        with pytest.raises(TemplateError) as caught:
            catalog.find([tmp_path]).release("lab-1")
        assert str(caught.value.location) == f"{tmp_path}/lab/distro.yaml:5:21"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b"[]", b"[" * 100000], ids=["empty", "cut", "bytes", "list", "deep"]
)
def test_a_damaged_cache_disturbs_no_build(tmp_path: Path, content: bytes) -> None:
    directory(tmp_path, LAB)
    assert catalog.find([tmp_path]).releases["lab-1"].title == "Lab 1"
    cache = Path(os.environ["XDG_CACHE_HOME"])
    kept = list(cache.glob("osbuild-compose-parsed/*/*"))
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(content)
    assert catalog.find([tmp_path]).releases["lab-1"].title == "Lab 1"


def test_a_cache_that_others_may_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory(tmp_path, LAB)
    read = documents_read(catalog.find([tmp_path]), monkeypatch)
    assert catalog.find([tmp_path]).releases["lab-1"]
    (cache,) = Path(os.environ["XDG_CACHE_HOME"]).glob("osbuild-compose-parsed/*")
    cache.chmod(0o777)
    read.clear()
    assert catalog.find([tmp_path]).releases["lab-1"]
    assert read == ["lab", "debian"]
    for path in cache.iterdir():
        path.unlink()
    assert catalog.find([tmp_path]).releases["lab-1"]
    assert list(cache.iterdir()) == []


def test_what_is_wrong_with_another_distribution_disturbs_no_build(tmp_path: Path) -> None:
    directory(tmp_path, LAB + "colour: red\n")
    directory(tmp_path, "a: [", "broken")
    found = catalog.find([tmp_path])
    assert found.release("debian-12").name == "debian-12"
    with pytest.raises(TemplateError, match="unknown key `colour`"):
        found.release("lab-1")
    # The name may be one of the file that cannot be read.
    with pytest.raises(TemplateError, match="not valid YAML"):
        assert "lab-2" not in found.releases
    with pytest.raises(TemplateError) as caught:
        found.read_all()
    files = {Path(error.location.file).parent.name for error in caught.value.each() if error.location}
    assert files == {"lab", "broken"}


RELEASES = "releases:\n  lab-1: {inherits: debian-12, title: Lab 1}\n"
FORMS = {
    "flow": "releases: {lab-1: {inherits: debian-12, title: Lab 1}}\n",
    "quoted": RELEASES.replace("lab-1:", '"lab-1":'),
    "comments": "releases: # all\n# first\n\n    # second\n    lab-1: # third\n        title: Lab 1\n"
    "        inherits: debian-12\n",
    "indented by one": "releases:\n lab-1:\n  inherits: debian-12\n  title: Lab 1\n",
    "texts like releases": RELEASES + "variables:\n  text: |\n    releases:\n      lab-3: {}\n",
    "anchor": RELEASES.replace("releases:", "releases: &all"),
    "several documents' form": "---\n" + RELEASES,
    "list at the margin": RELEASES + "packages:\n- vim\n",
    "folded title": "releases:\n  lab-1:\n    inherits: debian-12\n    title: >\n      Lab\n      lab-3: 1\n",
    "windows": RELEASES.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_names_are_found_in_every_form_of_yaml(tmp_path: Path, form: str) -> None:
    head = "" if FORMS[form].startswith("---") else "inherits: debian\ntitle: Lab\n"
    text = head + FORMS[form] if head else "---\ninherits: debian\ntitle: Lab\n" + RELEASES
    found = catalog.find([directory(tmp_path, text)])
    names = set(found.releases) - set(catalog.find().releases)
    assert names == {"lab-1"}
    assert found.read_all()["lab-1"].title.startswith("Lab")


def test_names_as_they_are_found_without_parsing_are_those_that_parsing_finds(tmp_path: Path) -> None:
    directory(
        tmp_path, "inherits: debian\nreleases:\n  debian-12: {packages: [vim]}\n  debian-99: {title: x}\n", "debian"
    )
    for files in (catalog.find().sources, catalog.find([tmp_path]).sources):
        for name in files.paths:
            assert sorted(files.release_names(name)) == sorted(files.resolved(name)["releases"])


def test_the_page_about_distributions_has_the_heading() -> None:
    name, _, heading = doc_links.DISTRO.partition("#")
    text = (Path(__file__).resolve().parents[3] / name).read_text()
    assert f"## {heading[:6]}.{heading[6:]}\n" in text
