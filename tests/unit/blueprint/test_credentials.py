"""Passwords, hashed as crypt(5) does and always in the same way, and lines of authorized_keys."""

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.values import credentials
from osbuild_compose.document import reader
from osbuild_compose.problem import Severity

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt"


def test_a_hash_stays_as_it_is() -> None:
    for text in ("$6$salt$abc", "$y$j9T$abc$def"):
        assert [problem for problem in credentials.password_problems(text) if problem.severity is Severity.ERROR] == []
        assert credentials.hashed(text, "web", "admin") == text


@pytest.mark.parametrize(
    "text",
    ["!", "!!", "*", "**", "!*", "!!*", "*LK*", "*NP*", "!LOCKED!", "!$6$salt$abc", "!!$6$salt$abc", "!$y$j9T$a$b"],
)
def test_a_locked_password_stays_locked(text: str) -> None:
    assert list(credentials.password_problems(text)) == []
    assert credentials.hashed(text, "web", "admin") == text
    assert credentials.is_locked(text)


@pytest.mark.parametrize(
    "text", ["!secret", "*secret", "!!x", "*$6$salt$abc", "!$6", "{SSHA}ZZZZ", "{CRYPT}$6$a$b", "$6$"]
)
def test_what_may_be_meant_as_a_hash_is_not_hashed(text: str) -> None:
    (problem,) = credentials.password_problems(text)
    assert problem.severity is Severity.ERROR
    assert "openssl passwd -6" in problem.hint
    assert "secret" not in problem.brief


@pytest.mark.parametrize(
    ("text", "length"),
    [("$6$salt$abc", "3 characters instead of 86"), ("$y$j9T$abc$" + "x" * 42, "42 characters instead of 43")],
)
def test_a_hash_that_is_cut_off(text: str, length: str) -> None:
    (problem,) = credentials.password_problems(text)
    assert problem.severity is Severity.WARNING
    assert length in problem.brief


@pytest.mark.parametrize(
    "text", ["!", "*", "secret", "$future$kind", "$6$rounds=9999$salt$" + "x" * 86, "$2b$10$" + "x" * 53]
)
def test_a_hash_that_may_be_one(text: str) -> None:
    assert list(credentials.password_problems(text)) == []


def test_the_salt_follows_from_the_names_and_not_from_the_password() -> None:
    def salt(*names: str) -> str:
        return credentials.hashed(*names).split("$")[2]

    assert salt("one", "web", "admin") == salt("two", "web", "admin")
    assert len({salt("a", "web", "admin"), salt("a", "web", "root"), salt("a", "db", "admin")}) == 3


def test_the_model_has_no_password() -> None:
    text = "name: a\ndistro: debian-12\nusers: [{name: b, password: s3cret}]\n"
    blueprint = load.check(reader.parse(text.encode(), "b.yaml"), ["debian-12"])
    assert blueprint.users[0].password == credentials.hashed("s3cret", "a", "b")
    assert "s3cret" not in repr(blueprint)


@pytest.mark.parametrize(
    "line",
    [
        f"ssh-ed25519 {KEY}",
        f"ssh-ed25519 {KEY} me@laptop",
        f'command="a b",no-pty ssh-ed25519 {KEY} a b',
        "something else",
    ],
)
def test_valid_keys(line: str) -> None:
    assert list(credentials.ssh_key_problems(line)) == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("ssh-ed25519 AAAA... me@laptop", "it is not base64"),
        (f"ssh-ed25519 {KEY[:-4]} me@laptop", "is incomplete"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "is incomplete"),
        ("ssh-ed25519 AAAA", "is incomplete"),
        (f"ssh-rsa {KEY} me@laptop", "not of the type ssh-rsa"),
    ],
)
def test_keys_that_nobody_can_log_in_with(line: str, wrong: str) -> None:
    (problem,) = credentials.ssh_key_problems(line)
    assert problem.severity is Severity.WARNING
    assert wrong in problem.brief
