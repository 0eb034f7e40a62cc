"""The host name that programs of a tree see."""

import os
from pathlib import Path

import pytest
from stagelib import chroot, host_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web\n", "web"),
        ("# ours\n\n  mail.example.org \nother\n", "mail.example.org"),
        ("", "localhost"),
        ("# nothing\n", "localhost"),
        ("a b\n", "localhost"),
        ("--hostname\n", "localhost"),
        ("\udcff\n", "localhost"),
        ("a" * 64, "a" * 64),
        ("a" * 65, "localhost"),
    ],
)
def test_it_is_the_trees(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert host_name.of_tree(str(tmp_path)) == name
    argv = chroot.command(str(tmp_path), ["true"])
    assert argv[argv.index("--hostname") + 1] == name


def test_it_is_localhost_where_there_is_no_such_file(tmp_path: Path) -> None:
    assert host_name.of_tree(str(tmp_path)) == "localhost"
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/hostname")
    assert host_name.of_tree(str(tmp_path)) == "localhost"
    (tmp_path / "etc/hostname").unlink()
    (tmp_path / "etc/hostname").symlink_to("hostname")
    assert host_name.of_tree(str(tmp_path)) == "localhost"


def test_hosts_have_the_line_of_the_name_once() -> None:
    named = host_name.with_own_name(host_name.DEFAULT_HOSTS, "web.example.org")
    assert named.splitlines()[:2] == ["127.0.0.1\tlocalhost", "127.0.1.1\tweb.example.org web"]
    assert host_name.with_own_name(named, "db").count("127.0.1.1\tdb\n") == 1
    assert "example" not in host_name.with_own_name(named, "db")
    assert host_name.with_own_name(named, host_name.DEFAULT) == host_name.DEFAULT_HOSTS
