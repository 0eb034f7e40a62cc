"""org.osbuild.users: errors and keys; useradd and usermod are tested on a real tree."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.users"
KEY = "ssh-ed25519 AAAAC3Nz admin@laptop"


@pytest.fixture
def accounts(tree: Path) -> Path:
    """A tree with one user, who has a home directory; uid 0, since a test that is not root's has no other."""
    write(tree, "etc/passwd", "admin:x:0:0::/home/admin:/bin/sh\nnonsense\n")
    write(tree, "etc/group", "root:x:0:\nsudo:x:27:\n")
    (tree / "home/admin").mkdir(parents=True)
    return tree


def test_keys_are_appended_once(accounts: Path, run_stage: RunStage) -> None:
    assert run_stage(NAME, {"users": {"admin": {"key": KEY}}}).status == 0
    assert run_stage(NAME, {"users": {"admin": {"key": KEY, "keys": ["second", "second"]}}}).status == 0
    directory = accounts / "home/admin/.ssh"
    assert (directory / "authorized_keys").read_text() == f"{KEY}\nsecond\n"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "authorized_keys").stat().st_mode & 0o777 == 0o600


def test_keys_after_a_line_without_end(accounts: Path, run_stage: RunStage) -> None:
    write(accounts, "home/admin/.ssh/authorized_keys", "first")
    run_stage(NAME, {"users": {"admin": {"key": KEY}}})
    assert (accounts / "home/admin/.ssh/authorized_keys").read_text() == f"first\n{KEY}\n"


@pytest.mark.parametrize("path", ["home", "home/admin", "home/admin/.ssh", "home/admin/.ssh/authorized_keys"])
def test_keys_stay_in_the_tree(accounts: Path, run_stage: RunStage, tmp_path: Path, path: str) -> None:
    outside = tmp_path / "outside"
    (outside / "admin/.ssh").mkdir(parents=True)
    link = accounts / path
    if link.is_dir():
        for directory in sorted(link.rglob("*"), reverse=True):
            directory.rmdir()
        link.rmdir()
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    before = sorted(outside.rglob("*"))
    run_stage(NAME, {"users": {"admin": {"key": KEY}}})
    assert sorted(outside.rglob("*")) == before


def test_backups_and_locks_are_removed(accounts: Path, run_stage: RunStage) -> None:
    for name in ("passwd-", "shadow-", "group-", "gshadow-", "subuid-", "subgid-", ".pwd.lock"):
        write(accounts, f"etc/{name}")
    run_stage(NAME, {"users": {}})
    assert sorted(path.name for path in (accounts / "etc").iterdir()) == ["group", "passwd"]


@pytest.mark.parametrize(
    ("user", "message", "hint"),
    [
        (
            {"groups": ["sudp"]},
            "the user 'bob' should be in the group 'sudp', which the tree does not",
            "did you mean sudo",
        ),
        ({"groups": ["xyzzy"]}, "'xyzzy'", "add it to `groups`, or its package to `packages`"),
        ({"gid": "staff"}, "the user 'bob' should be in the group 'staff'", "add it to `groups`"),
        ({"gid": 12345}, "the tree has no `groupadd`", "`passwd`"),
        ({"password": "secret"}, "the password of 'bob' is not a hash", "openssl passwd -6"),
        ({}, "the tree has no `useradd`", "add `passwd`"),
    ],
)
@pytest.mark.usefixtures("accounts")
def test_errors(run_stage: RunStage, user: dict[str, Any], message: str, hint: str) -> None:
    result = run_stage(NAME, {"users": {"bob": user}})
    assert result.status == 1
    assert f"error: {message}" in result.log or message in result.log
    assert hint in result.log


@pytest.mark.usefixtures("accounts")
def test_the_uid_of_a_user_stays(run_stage: RunStage) -> None:
    assert "which cannot be changed" in run_stage(NAME, {"users": {"admin": {"uid": "7"}}}).log
    assert run_stage(NAME, {"users": {"admin": {"uid": 0}}}).status == 0


@pytest.mark.parametrize(
    "password",
    ["", "!", "!!", "*", "!*", "!!*", "*LK*", "!!$6$a$b", "$6$salt$hash./09", "!$y$j9T$a$b", "ab./cdefghijk"],
)
def test_hashes(accounts: Path, run_stage: RunStage, password: str) -> None:
    del accounts
    log = run_stage(NAME, {"users": {"admin": {"password": password}}}).log
    assert "the tree has no `usermod`" in log  # it came as far as that


@pytest.mark.parametrize(
    "user",
    [
        {"uid": -1},
        {"uid": "x"},
        {"uid": 1.5},
        {"password": "a:b"},
        {"description": "a\nroot::0:0"},
        {"home": "home"},
        {"shell": "/bin/sh:x"},
        {"keys": ["a\nb"]},
        {"groups": ["a,b"]},
        {"name": "x"},
    ],
)
def test_refuses(user: dict[str, Any]) -> None:
    assert not accepts(NAME, {"users": {"bob": user}})


@pytest.mark.parametrize("name", ["", "-r", "a b", "a:b", "a\n", "a" * 33])
def test_refuses_names(name: str) -> None:
    assert not accepts(NAME, {"users": {name: {}}})
