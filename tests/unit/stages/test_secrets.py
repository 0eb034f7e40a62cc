"""Secrets that installing packages makes are removed; what was there before stays."""

import os
from pathlib import Path

import pytest
from stagelib import tree_paths
from stagelib.packages import secrets
from stagelib.packages.secrets import SECRETS

KEY, CERTIFICATE = "etc/ssl/private/ssl-cert-snakeoil.key", "etc/ssl/certs/ssl-cert-snakeoil.pem"


def write(tree: Path, *paths: str) -> None:
    for path in paths:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("secret")


def left(tree: Path) -> set[str]:
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_symlink() or not path.is_dir()}


def test_what_packages_made_is_removed_with_its_other_names(tmp_path: Path) -> None:
    with secrets.removed_again(str(tmp_path)):
        write(tmp_path, KEY, CERTIFICATE, "etc/ssl/certs/other.pem", "etc/ssh/ssh_host_rsa_key", "etc/ssh/sshd_config")
        (tmp_path / "etc/ssl/certs/0a1b2c3d.0").symlink_to("ssl-cert-snakeoil.pem")
        (tmp_path / "etc/ssl/certs/4e5f6a7b.0").symlink_to("other.pem")
    assert left(tmp_path) == {"etc/ssl/certs/other.pem", "etc/ssl/certs/4e5f6a7b.0", "etc/ssh/sshd_config"}


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    write(tmp_path, KEY, "var/lib/postgresql/15/main/PG_VERSION")
    with secrets.removed_again(str(tmp_path)):
        write(tmp_path, CERTIFICATE, "var/lib/postgresql/15/main/base/1", "var/lib/postgresql/15/other/PG_VERSION")
    assert left(tmp_path) == {KEY, "var/lib/postgresql/15/main/PG_VERSION", "var/lib/postgresql/15/main/base/1"}


def test_databases_are_removed_and_their_configuration_stays(tmp_path: Path) -> None:
    stays = {"etc/postgresql/15/main/postgresql.conf", "var/lib/mysql/debian-10.11.flag"}
    with secrets.removed_again(str(tmp_path)):
        write(tmp_path, *stays, "var/lib/postgresql/15/main/PG_VERSION")
        write(tmp_path, "var/lib/mysql/ibdata1", "var/lib/mysql/mysql/user.frm", "var/lib/mysql/data")
    assert left(tmp_path) == stays
    assert not (tmp_path / "var/lib/postgresql/15/main").exists()
    assert (tmp_path / "var/lib/postgresql/15").is_dir()


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    write(outside, "munge.key", "15/main/PG_VERSION")
    with secrets.removed_again(str(tree)):
        write(tree, "etc/munge/x", "var/lib/x")
        (tree / "etc/munge/munge.key").symlink_to(outside / "munge.key")
        (tree / "var/lib/postgresql").symlink_to(outside)
        (tree / "etc/iscsi").symlink_to("/etc/munge")
    assert left(outside) == {"munge.key", "15/main/PG_VERSION"}
    assert not os.path.lexists(tree / "etc/munge/munge.key")


def test_wildcards_stand_in_any_component(tmp_path: Path) -> None:
    write(tmp_path, "a/1/x", "a/2/x", "a/2/y", "b/1/x", "a/file")
    assert tree_paths.matching(str(tmp_path), "/a/*/x") == ["/a/1/x", "/a/2/x"]
    assert tree_paths.matching(str(tmp_path), "/[ab]/1/*") == ["/a/1/x", "/b/1/x"]
    assert tree_paths.matching(str(tmp_path), "/nothing/*") == []


@pytest.mark.parametrize("secret", SECRETS, ids=lambda one: one.name)
def test_the_table_says_when_each_secret_is_made(secret: secrets.Secret) -> None:
    assert all(path.startswith("/") for path in (*secret.files, secret.owner, *secret.placeholders))
    assert bool(secret.script) == bool(secret.unless) == bool(secret.before)
    assert (
        not secret.script
        or secret.unless in secret.files
        or secret.unless.startswith(("/etc/ssh/", "/etc/dropbear/", secrets.MADE))
    )
