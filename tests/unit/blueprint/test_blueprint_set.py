"""--set key=value."""

from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.document.composition.layering import Choices
from osbuild_compose.errors import ComposeError, InputError

BLUEPRINT = "name: web\ndistro: debian-12\nusers: [{name: admin}]\ndisk: {size: 4 GiB}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "b.yaml"
    file.write_text(BLUEPRINT)
    return file


def test_values_are_replaced_added_and_appended(path: Path) -> None:
    settings = [
        "disk.size=1 GiB",
        "hostname=h",
        "users.0.ssh_keys=[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt a=b]",
        "users.1.name=x",
        "kernel.append=",
        "users.admin.shell=/bin/sh",
        "files=[{path: /etc/motd, content: a}]",
        "files[/etc/motd].mode='0600'",
        "packages=[nano]",
        "packages={append: [gdb]}",
    ]
    blueprint = load.load(path, ["debian-12"], Choices(settings))
    assert blueprint.disk.size == 1024**3
    assert blueprint.hostname == "h"
    assert blueprint.users[0].ssh_keys == (
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt a=b",
    )
    assert blueprint.users[1].name == "x"
    assert blueprint.kernel.append == ""
    assert blueprint.users[0].shell == "/bin/sh"
    assert blueprint.files[0].mode == "0600"
    assert blueprint.packages == ("nano", "gdb")


def test_errors_are_located_at_the_setting(path: Path) -> None:
    with pytest.raises(ComposeError) as caught:
        load.load(path, ["debian-12"], Choices(["disk.size=4X", "users.0.nam=a", "hostnam=b"]))
    places = {str(error.location) for error in caught.value.each()}
    assert places == {"--set disk.size=4X", "--set users.0.nam=a", "--set hostnam=b"}


@pytest.mark.parametrize(
    "setting",
    [
        "disk",
        "=a",
        "a..b=c",
        "users.x=1",
        "users.7.name=a",
        "name.a=1",
        "name=[a",
        "name=a: b: c",
        "extends=b.yaml",
        "users[a=b",
        "profiles.dev.name=x",
    ],
)
def test_wrong_settings(path: Path, setting: str) -> None:
    with pytest.raises(InputError):
        load.load(path, ["debian-12"], Choices([setting]))
