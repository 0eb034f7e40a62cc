"""Passwords in blueprints are hashed as openssl hashes them."""

import subprocess

import pytest

from osbuild_compose.blueprint.values import credentials


@pytest.mark.parametrize("text", ["secret", "pässwörd", "x" * 200, "a:b c'\"\\"])
def test_a_password_is_hashed_as_openssl_does(text: str) -> None:
    found = credentials.hashed(text, "web", "admin")
    salt = found.split("$")[2]
    argv = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    assert subprocess.check_output(argv, input=text, text=True).strip() == found
