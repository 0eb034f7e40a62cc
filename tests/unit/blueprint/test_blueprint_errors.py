"""Errors of blueprints: all at once, each with its location and a hint."""

from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.errors import ComposeError, ExitCode
from osbuild_compose.report import error_text as report
from osbuild_compose.report.style import Style

DISTROS = ["debian-12", "debian-13"]
HEAD = "name: web\ndistro: debian-12\n"


def reported(tmp_path: Path, content: str | bytes) -> list[ComposeError]:
    path = tmp_path / "b.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ComposeError) as caught:
        load.load(path, DISTROS)
    assert caught.value.exit_code is ExitCode.INPUT_WRONG
    return list(caught.value.each())


@pytest.mark.parametrize(
    ("content", "place", "message", "hint"),
    [
        ("", "", "the file is empty", ""),
        ("# nothing\n", "", "the file is empty", ""),
        ("---\n", "", "the file is empty", ""),
        ("- a\n- b\n", "1:1", "a blueprint must be a mapping", "name: my-image"),
        ("just text\n", "1:1", "a blueprint must be a mapping", ""),
        ("name: [a\n", "1:7", "not valid YAML: expected ',' or ']'", ""),
        ("name:\n\t- a\n", "2:1", "a tab is used for indentation", "indent with spaces"),
        ("name: @a\n", "1:7", "not valid YAML: found character '@'", "quotes"),
        ("name: a: b\n", "1:8", "not valid YAML: mapping values", "quotes"),
        ("name: a\n---\nname: b\n", "2:1", "a second document", "single document"),
        ("name: a\0b\n", "1:8", "the character U+0000 is not allowed", ""),
        ("name: *x\n", "1:7", "undefined alias", ""),
        ("name: !!python/object:os.system x\n", "1:7", "the tag", "remove the tag"),
        ("name: &a [*a]\n", "1:7", "nested too deeply", ""),
        (b"name: caf\xe9\n", "1:10", "not UTF-8 text: byte 0xe9 in line 1", "UTF-8"),
        (HEAD + "name: again\n", "3:1", "duplicate key `name`, first used in line 1", ""),
        (HEAD + "[a]: b\n", "3:1", "a key must be plain text", ""),
        ("distro: debian-12\n", "1:1", "the document lacks the key `name`", "name: web"),
        (HEAD + "pakages: [nginx]\n", "3:1", "unknown key `pakages`", "did you mean `packages`?"),
        (HEAD + "keymap: us\n", "3:1", "unknown key `keymap`", "did you mean `keyboard`?"),
        (HEAD + "services: {enable: [a]}\n", "3:12", "unknown key `enable`", "did you mean `enabled`?"),
        (HEAD + "packages: nginx\n", "3:11", "`packages` must be a list, not text", "[nginx]"),
        (HEAD + "packages: [1]\n", "3:12", "an item of `packages` must be text, not a number", "quotes"),
        (HEAD + "packages:\n", "3:1", "`packages` must be a list, not empty", "[nginx, openssh-server]"),
        (HEAD + "packages: [-y]\n", "3:12", "is not the name of a package", ""),
        (HEAD + 'packages: ["a\\n"]\n', "3:12", "is not the name of a package", ""),
        (HEAD + "packages: [a, b, a]\n", "3:18", '`packages` has "a" twice', ""),
        (HEAD + "version: 1.10\n", "3:10", "`version` must be text, not a fraction", '"1.10"'),
        (
            HEAD + "arch: arm64\n",
            "3:7",
            '`arch` cannot be "arm64"; it is one of: x86_64, aarch64',
            "did you mean `aarch64`",
        ),
        (HEAD + "hostname: a_b\n", "3:11", "is not a host name", ""),
        (HEAD + "users:\n- name: a%\n", "4:9", "is not the name of a user or group", ""),
        (HEAD + 'users:\n- {name: a, password: "se\\tcret"}\n', "4:23", "cannot be typed", "openssl passwd -6"),
        (
            HEAD + 'users:\n- {name: a, password: "$6$a:b$c"}\n',
            "4:23",
            "looks like a hash but is not a valid one",
            "openssl",
        ),
        (HEAD + "users:\n- {name: a, uid: -1}\n", "4:18", "`uid` must not be less than 0", ""),
        (HEAD + "users:\n- name: a\n- name: a\n", "5:9", "`users` has a twice", ""),
        (HEAD + "users:\n- {name: a, ssh_keys: [id_rsa]}\n", "4:24", "is not a public key in one line", ""),
        (HEAD + "files:\n- path: /a\n", "4:3", "exactly one of `content`, `source`, `base64`, and `url` with", ""),
        (HEAD + "files:\n- {path: a, content: b}\n", "4:10", "must be an absolute path", ""),
        (HEAD + "files:\n- {path: /a/../b, content: b}\n", "4:10", "must be an absolute path", ""),
        (HEAD + "files:\n- {path: /a, content: b, mode: 0644}\n", "4:32", "`mode` must be text", '"0644"'),
        (HEAD + "files:\n- {path: /a, base64: '?'}\n", "4:22", "`base64` cannot be decoded", "base64 FILE"),
        (HEAD + "files:\n- {path: /a, source: gone}\n", "4:22", "No such file or directory", "relative"),
        (HEAD + "files:\n- {path: /a, source: /dev/null}\n", "4:22", "is not a file", ""),
        (
            HEAD + "files:\n- {path: /a, content: b}\ndirectories:\n- path: /a/.\n",
            "4:10",
            "already in `directories`",
            "",
        ),
        (HEAD + "services: {enabled: [a], masked: [a.service]}\n", "3:35", "already in `enabled`", ""),
        (HEAD + "disk: {size: 4}\n", "3:14", "between 1 MiB and 64 TiB", ""),
        (HEAD + "disk: {size: 4Gb}\n", "3:14", "did you mean 4 GiB or 4 GB?", ""),
        (HEAD + "disk: {size: four}\n", "3:14", '"four" is not a size', ""),
        (HEAD + 'disk: {size: "4"}\n', "3:14", "lacks its unit", ""),
        (HEAD + "disk: {partitions: [{mount: /a, start: 10000001}]}\n", "3:40", "is not a multiple of", "10000384"),
        (HEAD + "formats: []\n", "3:10", "`formats` must not be empty", ""),
        (HEAD + "formats: [qcow]\n", "3:11", '`formats` cannot be "qcow"', "did you mean `qcow2`?"),
        (HEAD + "repositories: [main]\n", "3:16", "it is one of: default", ""),
        (HEAD + "repositories:\n- {url: ftp://a, suites: [a]}\n", "4:9", "http://, https:// or file:", ""),
        (HEAD + "repositories:\n- {url: http://a, suites: [a], keys: [gone]}\n", "4:39", "No such file", "armoured"),
        (HEAD + "repositories:\n- {id: a, baseurl: http://a, metalink: http://b}\n", "4:3", "exactly one of", ""),
        (HEAD + "repositories:\n- {id: a, url: http://a}\n", "4:11", "unknown key `url`", "`baseurl`"),
        (HEAD + "repositories:\n- {id: a/b, baseurl: http://a}\n", "4:8", "is not the id of a repository", ""),
        (HEAD + "repositories:\n- {id: a, baseurl: http://a, priority: 100}\n", "4:40", "more than 99", ""),
        (HEAD + "repositories:\n- {id: a, baseurl: http://a, checksum: md5:1}\n", "4:40", "must be sha256:", ""),
        (HEAD + "repositories:\n- {id: a, baseurl: http://a}\n- {id: a, baseurl: http://b}\n", "5:8", "a twice", ""),
        (HEAD + "firewall: {ports: [80]}\n", "3:20", "must be text", '"8080:tcp"'),
        (HEAD + 'firewall: {ports: ["80"]}\n', "3:20", "is not a port with its protocol", ""),
        (
            HEAD + 'firewall: {ports: ["0:tcp"]}\n',
            "3:20",
            "is not a port or an ascending range between 1 and 65535",
            "",
        ),
        (HEAD + 'firewall: {ports: ["90-80:udp"]}\n', "3:20", "90-80:udp is not a port or an ascending range", ""),
        (HEAD + "firewall: {services: [http]}\n", "3:22", "must be a mapping", "{enabled: [http]}"),
        (HEAD + "firewall: {services: {enabled: [a], disabled: [a]}}\n", "3:48", "already in `enabled`", ""),
        (HEAD + "firewall: {zones: [a]}\n", "3:20", "an item of `zones` must be a mapping", "trusted"),
        (HEAD + "firewall: {zones: [{name: a, sources: [10.0.0.1/8]}]}\n", "3:40", "has host bits set", ""),
        (HEAD + "firewall: {zones: [{name: a, sources: [xy]}]}\n", "3:40", "is not an address", ""),
        (HEAD + "selinux: true\n", "3:10", "`selinux` cannot be true; it is one of: enforcing", ""),
        (HEAD + "kernel: quiet\n", "3:9", "`kernel` must be a mapping", "{append: "),
        (
            "name: web\ndistro: debian-21\n",
            "2:9",
            "unknown distro debian-21",
            "debian-1",
        ),
    ],
)
def test_error(tmp_path: Path, content: str | bytes, place: str, message: str, hint: str) -> None:
    found = reported(tmp_path, content)
    texts = [f"{error.location} {error.brief}" for error in found]
    path = f"{tmp_path / 'b.yaml'}"
    mine = [error for error in found if message in error.brief]
    assert mine, texts
    if place:
        assert str(mine[0].location) == f"{path}:{place}"
    assert hint in mine[0].hint, mine[0].hint


def test_all_errors_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = reported(
        tmp_path, "distro: plan9\npakages: []\nusers: [{name: a, password: $x}]\ndisk: {size: 1Q}\nkernel: {apend: a}\n"
    )
    assert [(error.location.line, error.brief.split(":")[0]) for error in found if error.location] == [
        (1, "the document lacks the key `name`"),
        (1, "unknown distro plan9"),
        (2, "unknown key `pakages`"),
        (3, "`password` looks like a hash but is not a valid one"),
        (4, "`size`"),
        (5, "unknown key `apend`"),
    ]


def test_all_duplicate_keys_at_once(tmp_path: Path) -> None:
    found = reported(tmp_path, "name: a\nname: b\nusers:\n- name: c\n  name: d\n")
    assert [str(error.location).rsplit(":", 2)[1] for error in found] == ["2", "5"]


@pytest.mark.parametrize("name", ["gone.yaml", ".", "a\0b.yaml", "file/x.yaml"])
def test_unreadable(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ComposeError) as caught:
        load.load(tmp_path / name, DISTROS)
    assert caught.value.exit_code is ExitCode.INPUT_WRONG
    assert str(tmp_path) in caught.value.brief


def test_too_large(tmp_path: Path) -> None:
    assert "larger than" in reported(tmp_path, b"#" * 5_000_000)[0].brief


def test_alias_bomb_ends_quickly(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "too large" in reported(tmp_path, "\n".join(levels))[0].brief


def test_the_caret_is_below_the_value(tmp_path: Path) -> None:
    error = reported(tmp_path, HEAD + "disk:\n  {size: 4X}\n")[0]
    lines = report.text(error, Style(color=False)).splitlines()
    assert lines[0].startswith(f"{tmp_path}/b.yaml:4:10: error: ")
    assert lines[1:3] == ["      {size: 4X}", "             ^^"]
    wide = reported(tmp_path, HEAD + "disk: {日本: 1, size: 4X}\n")[1]
    assert report.text(wide, Style(color=False)).splitlines()[2] == " " * 26 + "^^"


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    error = reported(tmp_path, HEAD + 'hostname: "\\e[31m"\n')[0]
    assert "\x1b" not in report.text(error, Style(color=False))


def test_a_very_long_line_is_cut_around_the_location(tmp_path: Path) -> None:
    error = reported(tmp_path, HEAD + "packages: [" + "nginx, " * 1 + "x" * 500 + "-, y]\n")[0]
    assert all(len(line) < 400 for line in report.text(error, Style(color=False)).splitlines()[1:])
