"""Passwords in blueprints: hashed as crypt(5) would, always the same, never the password itself."""

import subprocess

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.values import password
from osbuild_compose.document import reader


def test_a_hash_stays_as_it_is() -> None:
    for text in ("$6$salt$abc", "$y$j9T$abc$def", "!", "*"):
        assert password.problem(text) == ""
        assert password.hashed(text, "web", "admin") == text


@pytest.mark.parametrize(
    ("text", "length"), [("$6$salt$abc", "3 characters, not 86"), ("$y$j9T$abc$" + "x" * 42, "42 characters, not 43")]
)
def test_a_hash_that_is_cut_off(text: str, length: str) -> None:
    assert length in password.doubt(text)


@pytest.mark.parametrize(
    "text", ["!", "*", "secret", "$future$kind", "$6$rounds=9999$salt$" + "x" * 86, "$2b$10$" + "x" * 53]
)
def test_a_hash_that_may_be_one(text: str) -> None:
    assert password.doubt(text) == ""


@pytest.mark.parametrize("text", ["secret", "pässwörd", "x" * 200, "a:b c'\"\\"])
def test_a_password_is_hashed_as_openssl_does(text: str) -> None:
    found = password.hashed(text, "web", "admin")
    salt = found.split("$")[2]
    argv = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    assert subprocess.check_output(argv, input=text, text=True).strip() == found


def test_the_salt_follows_from_the_names_and_not_from_the_password() -> None:
    def salt(*names: str) -> str:
        return password.hashed(*names).split("$")[2]

    assert salt("one", "web", "admin") == salt("two", "web", "admin")
    assert len({salt("a", "web", "admin"), salt("a", "web", "root"), salt("a", "db", "admin")}) == 3


def test_the_model_has_no_password() -> None:
    text = "name: a\ndistro: debian-12\nusers: [{name: b, password: s3cret}]\n"
    blueprint = load.check(reader.parse(text.encode(), "b.yaml"), ["debian-12"])
    assert blueprint.users[0].password == password.hashed("s3cret", "a", "b")
    assert "s3cret" not in repr(blueprint)
