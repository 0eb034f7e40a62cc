"""What programs of a tree read as /etc/resolv.conf while they have the network."""

import os
from pathlib import Path

import pytest
from stagelib import resolver


@pytest.fixture(autouse=True)
def _stage_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path == resolver.PATH or real(path))


def places(tree: Path) -> list[str]:
    """Where in the tree the stage's file is shown."""
    with resolver.in_tree(str(tree)) as binds:
        return [bind.target for bind in binds]


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("../run/systemd/resolve/stub-resolv.conf", "/run/systemd/resolve/stub-resolv.conf"),
        ("/run/NetworkManager/resolv.conf", "/run/NetworkManager/resolv.conf"),
        ("/srv/own", "/srv/own"),
        ("../../../../srv/own", "/srv/own"),
        ("/srv/missing", None),
        ("/srv", None),
        ("resolv.conf", None),
    ],
)
def test_a_link_is_followed_in_the_tree(tmp_path: Path, target: str, place: str | None) -> None:
    for name in ("etc", "srv"):
        (tmp_path / name).mkdir()
    (tmp_path / "srv/own").touch()
    (tmp_path / "etc/resolv.conf").symlink_to(target)
    assert places(tmp_path) == ([place] if place else [])


@pytest.mark.parametrize("has_file", [True, False])
def test_the_place_has_no_links_that_mounting_would_follow(tmp_path: Path, has_file: bool) -> None:
    (tmp_path / "usr/etc").mkdir(parents=True)
    (tmp_path / "etc").symlink_to("/usr/etc")
    if has_file:
        (tmp_path / "usr/etc/resolv.conf").touch()
    assert places(tmp_path) == ["/usr/etc/resolv.conf"]
    assert (tmp_path / "usr/etc/resolv.conf").exists() == has_file


def test_a_tree_without_the_file_has_none_afterwards_unless_a_program_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    assert places(tmp_path) == [resolver.PATH]
    assert not (tmp_path / "etc/resolv.conf").exists()
    with resolver.in_tree(str(tmp_path)):
        (tmp_path / "etc/resolv.conf").write_text("nameserver 192.0.2.53\n")
    assert (tmp_path / "etc/resolv.conf").read_text() == "nameserver 192.0.2.53\n"
