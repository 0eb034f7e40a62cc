"""compose init: a blueprint that builds, by asking or without."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from osbuild_compose.distro import catalog
from osbuild_compose.document import reader
from tests.integration.cli.commands import REPO, compose, fine, wrong

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt me@laptop"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with keys of two kinds."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    (tmp_path / "home/.ssh/id_rsa.pub").write_text("ssh-rsa AAAAB3 old@laptop\n")
    (tmp_path / "home/.ssh/id_ed25519.pub").write_text(KEY + "\n")
    return tmp_path / "home"


@pytest.mark.parametrize("release", sorted(catalog.find().releases))
def test_what_it_writes_is_right_for_every_distribution(tmp_path: Path, home: Path, release: str) -> None:
    done = compose(
        "init", "first.yaml", "--yes", "--distro", release, "--service", "nginx", cwd=tmp_path, HOME=str(home)
    )
    assert (done.returncode, done.stdout) == (0, "first.yaml\n")
    data = reader.read(tmp_path / "first.yaml").data
    assert (data["name"], data["distro"]) == ("first", release)
    assert data["users"][0]["ssh_keys"] == [KEY]
    assert data["packages"] == data["services"]["enabled"] == ["nginx"]
    assert '"nginx"' in fine("render", "first.yaml", cwd=tmp_path)  # which checks it as well


def test_defaults(tmp_path: Path) -> None:
    done = compose("init", "--yes", cwd=tmp_path, HOME=str(tmp_path), SUDO_USER="ann")
    assert (done.returncode, done.stdout) == (0, "my-image.yaml\n")
    assert "without a key nobody can log in" in done.stderr
    data = reader.read(tmp_path / "my-image.yaml").data
    assert data["users"] == [{"name": "ann", "sudo": "nopasswd"}]
    assert (data["packages"], data["services"]) == (["openssh-server"], {"enabled": ["sshd"]})
    fine("check", "my-image.yaml", cwd=tmp_path)


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("mine")
    wrong(compose("init", "a.yaml", "--yes", cwd=tmp_path), "a.yaml already exists")
    wrong(compose("init", "--name", "a", "--yes", cwd=tmp_path), "a.yaml already exists")
    assert (tmp_path / "a.yaml").read_text() == "mine"
    fine("init", "a.yaml", "--yes", "--force", cwd=tmp_path)
    assert "name: " in (tmp_path / "a.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--distro", "debian-1"], "there is no distribution debian-1"),
        (["--name", "a b"], "`a b` cannot be a name"),
        (["--user", "Ann"], "`Ann` cannot be a user"),
        (["--service", "a;b"], "`a;b` cannot be a service"),
        (["--ssh-key", "/nowhere.pub"], "cannot read /nowhere.pub"),
        (["--ssh-key", "/etc/hostname"], "/etc/hostname is no public SSH key"),
    ],
)
def test_wrong_options(tmp_path: Path, arguments: list[str], message: str) -> None:
    wrong(compose("init", "--yes", *arguments, cwd=tmp_path), message)
    assert list(tmp_path.iterdir()) == []


def test_nobody_to_ask(tmp_path: Path) -> None:
    wrong(compose("init", cwd=tmp_path), "compose init asks questions, and there is no terminal\n  hint: --yes")


def test_questions_on_a_terminal(tmp_path: Path, home: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(REPO), "HOME": str(home), "TERM": "dumb"}
    process = subprocess.Popen(
        [sys.executable, "-m", "osbuild_compose", "init"],
        cwd=tmp_path,
        env=environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A wrong answer is told and the question asked again; an empty one takes what is offered.
    os.write(ours, b"debian-99\nfedora-43\nshop\n\n\nssh nginx\n")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (0, "shop.yaml\n"), err
    assert "there is no distribution debian-99" in err
    assert err.count("Distribution [") == 2
    data = reader.read(tmp_path / "shop.yaml").data
    assert (data["distro"], data["name"]) == ("fedora-43", "shop")
    assert data["users"][0]["ssh_keys"] == [KEY]
    assert data["services"]["enabled"] == ["sshd", "nginx"]
