"""What of a build root's /etc is shown to stages."""

import contextlib
import os
import stat
from pathlib import Path

import pytest

from runner.errors import RunnerError
from runner.sandbox.buildroot import BuildRoot, beneath, prepare


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with certificates and, beside them, keys."""
    made = tmp_path / "root"
    for path in (
        "usr/bin/true",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/ssl/private/server.key",
        "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "etc/pki/consumer/key.pem",
        "etc/pki/entitlement/1-key.pem",
        "etc/pki/nssdb/key4.db",
        "etc/pki/rpm-gpg/RPM-GPG-KEY",
        "etc/pki/tls/certs/ca-bundle.crt",
        "etc/pki/tls/openssl.cnf",
        "etc/pki/tls/private/localhost.key",
        "etc/rpm/macros",
        "etc/shadow",
        "outside",
    ):
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(path)
    return made


def binds(build_root: BuildRoot) -> dict[str, str]:
    """What is mounted where."""
    words = build_root.arguments(network=False)
    return {words[at + 2]: words[at + 1] for at, word in enumerate(words) if word == "--ro-bind"}


def test_certificates_are_shown_and_keys_beside_them_are_not(root: Path, tmp_path: Path) -> None:
    shown = binds(prepare(root, tmp_path / "etc"))
    assert set(shown) == {"/usr", "/etc", "/etc/pki/ca-trust/extracted", "/etc/pki/rpm-gpg", "/etc/pki/tls/certs",
                          "/etc/pki/tls/openssl.cnf", "/etc/rpm", "/etc/ssl/certs"}  # fmt: skip
    made = {path.relative_to(tmp_path / "etc/etc").as_posix() for path in (tmp_path / "etc/etc").rglob("*")}
    assert not {name for name in made if "private" in name or "shadow" in name or name.endswith(".key")}


def test_links_between_what_is_shown_stay_links(root: Path, tmp_path: Path) -> None:
    """As on Fedora, where /etc/ssl/certs leads to /etc/pki/tls/certs."""
    (root / "etc/ssl/certs/ca-certificates.crt").unlink()
    (root / "etc/ssl/certs").rmdir()
    (root / "etc/ssl/certs").symlink_to("../pki/tls/certs")
    (root / "etc/ssl/openssl.cnf").symlink_to("/etc/pki/tls/openssl.cnf")
    (root / "etc/xattr.conf").symlink_to("../usr/bin/true")
    shown = binds(prepare(root, tmp_path / "etc"))
    assert not shown.keys() & {"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/xattr.conf"}
    for directory in ("etc", "etc-network"):
        etc = tmp_path / "etc" / directory
        assert os.readlink(etc / "ssl/certs") == "/etc/pki/tls/certs"
        assert os.readlink(etc / "ssl/openssl.cnf") == "/etc/pki/tls/openssl.cnf"
        assert os.readlink(etc / "xattr.conf") == "/usr/bin/true"


@pytest.mark.parametrize("target", ["{outside}", "../../../../../../..{outside}", "../outside/", "/"])
@pytest.mark.parametrize("place", ["etc/alternatives", "etc/rpm", "etc/ssl", "etc", "usr"])
def test_a_link_of_a_tree_never_leads_out_of_it(root: Path, tmp_path: Path, place: str, target: str) -> None:
    outside = tmp_path / "outside"
    (outside / "certs").mkdir(parents=True)
    (outside / "rpm").mkdir()
    if (root / place).exists():
        (root / place).rename(root / "moved")
    (root / place).symlink_to(target.format(outside=outside))
    shown: dict[str, str] = {}
    with contextlib.suppress(RunnerError):  # a tree without /usr
        shown = binds(prepare(root, tmp_path / "into"))
    assert shown or place == "usr"
    for source in shown.values():
        real = Path(os.path.realpath(source))
        assert real.is_relative_to(root) or real.is_relative_to(tmp_path / "into"), source


def test_a_tree_without_usr_is_no_build_root(root: Path, tmp_path: Path) -> None:
    (root / "usr").rename(root / "moved")
    (root / "usr").symlink_to(tmp_path)
    with pytest.raises(RunnerError, match="no directory /usr"):
        prepare(root, tmp_path / "into")


def test_links_that_lead_nowhere_are_left_out(root: Path, tmp_path: Path) -> None:
    (root / "etc/alternatives").symlink_to("alternatives")
    (root / "etc/login.defs").symlink_to("/nowhere")
    os.mkfifo(root / "etc/mke2fs.conf")
    shown = binds(prepare(root, tmp_path / "etc"))
    assert not shown.keys() & {"/etc/alternatives", "/etc/login.defs", "/etc/mke2fs.conf"}
    assert beneath(root, "etc/alternatives") is None
    assert beneath(root, "a" * 300) is None
    assert beneath(root, "/etc/../../../etc/./rpm") == root / "etc/rpm"


def test_everybody_can_read_it_whatever_the_umask(root: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        build_root = prepare(root, tmp_path / "into")
    finally:
        os.umask(before)
    mounted = set(binds(build_root))
    for etc in (build_root.etc, build_root.etc_network):
        for path in (etc, *etc.rglob("*")):
            mode = stat.S_IMODE(path.lstat().st_mode)
            if path.is_dir():
                assert mode == 0o755, path
            elif f"/etc/{path.relative_to(etc)}" not in mounted:
                assert mode == 0o644, path
