"""`--repo`: NAME=URL and files as dnf has them."""

from pathlib import Path

import pytest

from osbuild_compose.distro import repo_option
from osbuild_compose.distro.repository import ARMOUR, NamedRepository
from osbuild_compose.errors import InputError

KEY = f"{ARMOUR}\nabc\n"
FILE = """\
# a comment
[fedora]
name=Fedora $releasever - $basearch
#baseurl=http://no.example/
metalink=https://m.example/metalink?repo=fedora-$releasever&arch=$basearch
enabled=1
metadata_expire=7d
gpgcheck=1
gpgkey=file:///KEY
priority=10

[updates]
baseurl=http://one.example/%20/os
        http://two.example/os
gpgcheck=0
gpgkey=https://nowhere.example/key

[source]
mirrorlist=http://l.example/
enabled=0
"""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.asc"
    path.write_text(KEY)
    return path


def test_name_and_address(key: Path) -> None:
    assert repo_option.parse([], []) == ()
    found = repo_option.parse(["a=http://h/os/", "b=https://h/x/metalink?repo=f=1", "c=http://h/mirrorlist"], [key])
    assert found == (
        NamedRepository("a", baseurl="http://h/os/", keys=(KEY,)),
        NamedRepository("b", metalink="https://h/x/metalink?repo=f=1", keys=(KEY,)),
        NamedRepository("c", mirrorlist="http://h/mirrorlist", keys=(KEY,)),
    )
    assert repo_option.parse(["a=http://h"], []) == (NamedRepository("a", baseurl="http://h"),)


def test_file(tmp_path: Path, key: Path) -> None:
    path = tmp_path / "fedora.repo"
    path.write_text(FILE.replace("/KEY", str(key)))
    expected = (
        NamedRepository(
            "fedora",
            name="Fedora $releasever - $basearch",
            metalink="https://m.example/metalink?repo=fedora-$releasever&arch=$basearch",
            keys=(KEY,),
            priority=10,
        ),
        NamedRepository("updates", baseurl="http://one.example/%20/os", check_signatures=False),
    )
    with pytest.raises(InputError, match=r"the key https://nowhere\.example/key is not on this machine"):
        repo_option.parse([str(path)], [])
    assert repo_option.parse([str(path)], [key]) == expected
    path.write_text(path.read_text().replace("gpgkey=https://nowhere.example/key\n", ""))
    assert repo_option.parse([str(path)], []) == expected


@pytest.mark.parametrize(
    ("repo", "message"),
    [
        ("http://h/os", "--repo http://h/os: cannot read it"),
        ("a=ftp://h", "--repo a=ftp://h: ftp://h is not an address"),
        ("a=", "is not an address"),
        ("gone.repo", "--repo gone.repo: cannot read it: No such file or directory"),
        ("key=1\n", "not a file of repositories"),
        ("[a]\nbaseurl=http://h\n[a]\n", "not a file of repositories"),
        ("[a]\nenabled=0\n", "no repository in it is enabled"),
        ("", "no repository in it is enabled"),
        ("[a]\n", "a has none of baseurl, mirrorlist, metalink"),
        ("[a]\nbaseurl=file:///x\n", "file:///x is not an address"),
        ("[a]\nbaseurl=http://h\ngpgkey=file:///gone\n", "a: cannot read the key /gone: No such file or directory"),
        ("[a]\nbaseurl=http://h\ngpgkey=file:///etc/passwd\n", "/etc/passwd is not an armoured public key"),
        ("[a]\nbaseurl=http://h\ngpgkey=file:///x-$releasever\n", "the key file:///x-$releasever is not on this"),
        ("[a]\nbaseurl=http://h\npriority=high\n", "a: the priority high is not a number"),
        (b"\xff", "cannot read it: it is not text"),
    ],
)
def test_wrong(tmp_path: Path, repo: str | bytes, message: str) -> None:
    if isinstance(repo, bytes) or "\n" in repo or not repo:
        path = tmp_path / "x.repo"
        path.write_bytes(repo if isinstance(repo, bytes) else repo.encode())
        repo = str(path)
    with pytest.raises(InputError) as caught:
        repo_option.parse([repo], [])
    assert message in caught.value.brief
    assert "\n" not in caught.value.brief


def test_wrong_keys(tmp_path: Path, key: Path) -> None:
    with pytest.raises(InputError, match="none is given"):
        repo_option.parse([], [key])
    with pytest.raises(InputError, match="cannot read the key"):
        repo_option.parse(["a=http://h"], [tmp_path / "gone"])
    with pytest.raises(InputError, match="there is already a repository a"):
        repo_option.parse(["a=http://h", "a=http://i"], [key])
