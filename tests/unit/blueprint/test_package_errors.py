"""Errors in keys about packages: answers to their questions, repositories, what is both wanted and excluded."""

from pathlib import Path

import pytest

from osbuild_compose.errors import ComposeError
from osbuild_compose.problem import Severity
from osbuild_compose.project import Project

DEBIAN = "name: a\ndistro: debian-12\nformats: [tar]\n"
FEDORA = "name: a\ndistro: fedora-43\nformats: [tar]\n"
URL = "repositories: [default, {url: '%s', suites: [s], priority: 900}]\n"
RPM = "repositories: [default, {id: %s, baseurl: http://h/x%s}]\n"
FILE = f"packages: [{{url: '%s', sha256: {'a' * 64}}}]\n"


@pytest.fixture(scope="module")
def project() -> Project:
    return Project()


def reported(project: Project, text: str, file: str = "b.yaml") -> list[ComposeError]:
    with pytest.raises(ComposeError) as caught:
        project.images_of(project.load_text(text, file))
    return list(caught.value.each())


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("debconf: {d-i: {x/y: a}}\n", "4:22", "x/y is a question of Debian's installer", "other keys"),
        ("debconf: [a b boolean yes]\n", "4:11", "the answer to b is true or false", "write true or false, not yes"),
        ("debconf: [a b select x, a b select y]\n", "4:25", "`debconf` has b twice", "debconf: {remove: [LINE]"),
        ("debconf: {a: {x/y: 1}, b: {x/y: 2}}\n", "4:33", "`debconf` has x/y twice", "remove one of them"),
        ("debconf: {Postfix: {a/b: c}}\n", "4:11", "`Postfix` is not the name of a package", ""),
        ("debconf: {a: {a/b: 0755}}\n", "4:20", "0755 is read as the number 755", 'in quotes: "0755"'),
        ("debconf: {a: {a/b: {value: 0x1F}}}\n", "4:28", "0x1F is read as the number 31", 'in quotes: "0x1F"'),
        ("debconf: {a: {unset: [a/b]}}\n", "4:22", "`unset` is not a question of a", "unset: [debconf.a.QUESTION]"),
        ("debconf: text\n", "4:10", "`debconf` must be a mapping (key: value) or a list, not text", "[text]"),
        ("packages: [nginx=1*]\nexclude: [nginx]\n", "5:11", "nginx is in `exclude`", "remove one of them"),
        ("packages: [nginx=1=2]\n", "4:12", "nginx=1=2 is not the name", "1=2 is not a version"),
        ("packages: [nginx=1*, nginx/a]\n", "4:1", "it has two versions of nginx, nginx=1* and nginx/a", "leave out"),
        (FILE % "https://[h/x.deb", "4:18", "https://[h/x.deb names no machine", "https://MACHINE/PATH"),
        (FILE % "https:///x.deb", "4:18", "https:///x.deb names no machine", "https://MACHINE/PATH"),
        ("packages: [NGINX]\n", "4:12", "NGINX is not the name of a package", "write nginx"),
        ("packages: ['nginx ']\n", "4:12", "is not the name of a package", "write nginx"),
        ("packages: [nginx-]\n", "4:12", '"nginx-" is not the name of a package', "exclude: [nginx]"),
        (URL % "https://[::1", "4:31", "https://[::1 names no machine", "https://MACHINE/PATH"),
        (URL % "http://[zz]/", "4:31", "http://[zz]/ names no machine", "https://MACHINE/PATH"),
        (URL % "http://h:99999/x", "4:31", "names no machine", "https://MACHINE:PORT/PATH"),
        (URL % "http:///x", "4:31", "http:///x names no machine", "https://MACHINE/PATH"),
        (URL % f"file:{'x' * 300}", "4:31", "does not exist", "relative to the blueprint's directory"),
        (f"files: [{{path: /a, source: {'x' * 300}}}]\n", "4:28", "File name too long", "relative"),
        ('files: [{path: /a, source: "a\\0b"}]\n', "4:28", "is not a path", ""),
    ],
)
def test_on_debian(project: Project, text: str, place: str, message: str, hint: str) -> None:
    (error,) = reported(project, DEBIAN + text)
    assert str(error.location).endswith(f":{place}")
    assert message in error.brief
    assert hint in error.hint


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("packages: [nginx.x86_64]\nexclude: [nginx]\n", "5:11", "`packages` has nginx.x86_64", "remove one of them"),
        ("packages: ['nginx >= ']\n", "4:12", "is not dnf's notation of a version", "NAME >= VERSION"),
        ("packages: ['nginx >= 1 2']\n", "4:12", "is not dnf's notation of a version", "NAME >= VERSION"),
        ("packages: [nginx httpd]\n", "4:12", "nginx httpd is not the name of one package", "by itself"),
        ("packages: [nginx/bookworm]\n", "4:12", "apt's notation of a suite", "write nginx; `priority`"),
        ("exclude: ['@core']\n", "4:11", "@core is a group", "name its packages"),
        (RPM % ("updates", ""), "4:30", "the distribution's own repositories has the id updates", "another id"),
    ],
)
def test_on_fedora(project: Project, text: str, place: str, message: str, hint: str) -> None:
    (error,) = reported(project, FEDORA + text)
    assert str(error.location).endswith(f":{place}")
    assert message in error.brief
    assert hint in error.hint


def test_a_repository_of_the_build_alone_may_have_any_id(project: Project) -> None:
    assert project.images_of(project.load_text(FEDORA + RPM % ("updates", ", use: build")))


def test_a_kernel_is_no_file(project: Project) -> None:
    (error,) = reported(project, "name: a\ndistro: debian-12\nkernel: {package: ./linux-image-a_1_amd64.deb}\n")
    assert str(error.location).endswith(":3:19")
    assert "is a file" in error.brief


def test_a_question_that_two_packages_share(project: Project) -> None:
    lines = "debconf: [a x/y select v, b x/y select v]\n"
    assert [answer.package for answer in project.load_text(DEBIAN + lines).debconf] == ["a", "b"]


def test_a_password_is_known_by_its_question_whatever_its_type_is_said_to_be(project: Project) -> None:
    lines = "debconf: [m m/root_password string x, s slapd/internal/adminpw string y, p p/mode select z]\n"
    warnings = project.load_text(DEBIAN + lines).warnings
    assert [one.trail for one in warnings if one.severity is Severity.WARNING] == [("debconf", 0), ("debconf", 1)]


@pytest.mark.parametrize(
    ("base", "own"),
    [("{a: {a/b: c}}", "[a a/b select d]"), ("{a: {a/b: c}}", "{append: [x]}"), ("[a a/b select c]", "{a: {a/b: d}}")],
)
def test_answers_in_two_forms_are_not_lost(project: Project, tmp_path: Path, base: str, own: str) -> None:
    (tmp_path / "base.yaml").write_text(f"{DEBIAN}debconf: {base}\n")
    text = f"extends: base.yaml\nname: b\ndebconf: {own}\n"
    errors = reported(project, text, str(tmp_path / "b.yaml"))
    assert "and the inherited one is a" in errors[0].brief
    assert "unset: [debconf]" in errors[0].hint


def test_lines_of_answers_are_changed_as_other_lists(project: Project, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(f"{DEBIAN}debconf: [a a/b select c, a a/d select e]\n")
    changes = "{remove: [a a/b select c], append: [a a/b select d]}"
    found = project.load_text(f"extends: base.yaml\nname: b\ndebconf: {changes}\n", str(tmp_path / "b.yaml"))
    assert [(answer.question, answer.value) for answer in found.debconf] == [("a/d", "e"), ("a/b", "d")]


def test_a_package_file_that_is_named_twice_is_one(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a_1_amd64.deb").write_text("")
    text = f"{DEBIAN}packages: [./a_1_amd64.deb, {{source: a_1_amd64.deb}}]\n"
    assert len(project.load_text(text, str(tmp_path / "b.yaml")).package_files) == 1


@pytest.mark.parametrize("wanted", ["'@Web Server'", "'@nginx:1.24/common'", "perl(A::B) >= 1", "/usr/bin/vim"])
def test_what_dnf_takes(project: Project, wanted: str) -> None:
    assert project.images_of(project.load_text(f"{FEDORA}packages: [{wanted}]\n"))


def test_a_version_beside_the_bare_name(project: Project) -> None:
    assert project.images_of(project.load_text(f"{DEBIAN}packages: [nginx, nginx=1*]\n"))
