"""Lines of authorized_keys."""

import pytest

from osbuild_compose.blueprint.values import ssh_key

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt"


@pytest.mark.parametrize(
    "line",
    [
        f"ssh-ed25519 {KEY}",
        f"ssh-ed25519 {KEY} me@laptop",
        f'command="a b",no-pty ssh-ed25519 {KEY} a b',
        "something else",
    ],
)
def test_right(line: str) -> None:
    assert ssh_key.problem(line) == ""


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("ssh-ed25519 AAAA... me@laptop", "it is no base64"),
        (f"ssh-ed25519 {KEY[:-4]} me@laptop", "not whole"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "not whole"),
        ("ssh-ed25519 AAAA", "not whole"),
        (f"ssh-rsa {KEY} me@laptop", "not of the kind ssh-rsa"),
    ],
)
def test_wrong(line: str, wrong: str) -> None:
    assert wrong in ssh_key.problem(line)
