"""org.osbuild-compose.files"""

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild-compose.files"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_directories_files_symlinks(tree: Path, run_stage: RunStage) -> None:
    blob = bytes(range(256))
    options = {
        "directories": [{"path": "/srv/www", "mode": "2770"}],
        "files": [
            {"path": "/srv/www/index.html", "content": "hello ☃\n"},
            {"path": "/opt/app/run", "base64": base64.b64encode(blob).decode(), "mode": "4755"},
        ],
        "symlinks": [{"path": "/usr/local/bin/run", "target": "../../../opt/app/run"}],
    }
    result = run_stage(NAME, options)
    assert result.status == 0, result.log
    assert (tree / "srv/www/index.html").read_text() == "hello ☃\n"
    assert (tree / "opt/app/run").read_bytes() == blob
    assert (tree / "usr/local/bin/run").read_bytes() == blob
    assert [mode(tree / path) for path in ("srv", "srv/www", "srv/www/index.html", "opt/app/run")] == [
        0o755,
        0o2770,
        0o644,
        0o4755,
    ]


def test_nothing_to_do(run_stage: RunStage) -> None:
    assert run_stage(NAME, {}).status == 0


def test_a_file_takes_the_place_of_a_file_or_symlink(tree: Path, run_stage: RunStage) -> None:
    target = write(tree, "etc/target", "kept")
    write(tree, "etc/old", "old")
    (tree / "etc/link").symlink_to("target")
    files = [{"path": f"/etc/{name}", "content": "new"} for name in ("old", "link")]
    assert run_stage(NAME, {"files": files}).status == 0
    assert target.read_text() == "kept"
    assert (tree / "etc/old").read_text() == (tree / "etc/link").read_text() == "new"
    assert not (tree / "etc/link").is_symlink()


def test_an_existing_directory_keeps_what_is_not_said(tree: Path, run_stage: RunStage) -> None:
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    assert run_stage(NAME, {"directories": [{"path": "/tmp"}]}).status == 0
    assert mode(tree / "tmp") == 0o1777
    run_stage(NAME, {"directories": [{"path": "/tmp", "mode": "0700"}]})
    assert mode(tree / "tmp") == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_are_the_trees(tree: Path, run_stage: RunStage) -> None:
    write(tree, "etc/passwd", "www-data:x:333:334::/:/bin/sh\n")
    write(tree, "etc/group", "ops:x:444:\n")
    own = {"owner": "www-data", "group": "ops"}
    options = {
        "directories": [{"path": "/srv/a", **own}],
        "files": [{"path": "/srv/a/f", "content": "", **own}, {"path": "/n", "content": "", "owner": 5, "group": 6}],
    }
    assert run_stage(NAME, options).status == 0
    owners = [((tree / p).stat().st_uid, (tree / p).stat().st_gid) for p in ("srv", "srv/a", "srv/a/f", "n")]
    assert owners == [(0, 0), (333, 444), (333, 444), (5, 6)]
    run_stage(NAME, {"directories": [{"path": "/srv/a", "group": 0}]})
    assert ((tree / "srv/a").stat().st_uid, (tree / "srv/a").stat().st_gid) == (333, 0)


@pytest.mark.parametrize(("key", "what"), [("owner", "user"), ("group", "group")])
def test_an_owner_that_the_tree_does_not_have(tree: Path, run_stage: RunStage, key: str, what: str) -> None:
    write(tree, "etc/passwd", "www-data:x:0:0::/:/bin/sh\n")
    write(tree, "etc/group", "www-data:x:0:\n")
    result = run_stage(NAME, {"files": [{"path": "/x", "content": "", key: "ww-data"}]})
    assert result.status == 1
    assert f"error: /x: the tree has no {what} 'ww-data'" in result.log
    assert "did you mean www-data?" in result.log
    assert not (tree / "x").exists()


@pytest.mark.parametrize(
    "entry", [{"files": [{"path": "/d", "content": ""}]}, {"symlinks": [{"path": "/d", "target": "x"}]}]
)
def test_a_directory_in_the_way(tree: Path, run_stage: RunStage, entry: dict[str, Any]) -> None:
    (tree / "d").mkdir()
    result = run_stage(NAME, entry)
    assert result.status == 1
    assert "error: /d is a directory already" in result.log


@pytest.mark.parametrize("entry", [{"directories": [{"path": "/f/x"}]}, {"files": [{"path": "/f/x", "content": ""}]}])
def test_a_file_in_the_way(tree: Path, run_stage: RunStage, entry: dict[str, Any]) -> None:
    write(tree, "f")
    result = run_stage(NAME, entry)
    assert result.status == 1
    assert "error: /f/x: a file is in the place of a directory" in result.log


def test_wrong_base64(run_stage: RunStage) -> None:
    result = run_stage(NAME, {"files": [{"path": "/x", "base64": "a"}]})
    assert result.status == 1
    assert "error: /x: not valid base64" in result.log


@pytest.mark.parametrize("target", ["/outside", "../../../../outside", "{tmp}/outside", "../outside"])
def test_no_symlink_leads_out(tree: Path, run_stage: RunStage, tmp_path: Path, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (tree / "out").symlink_to(target.format(tmp=tmp_path))
    options = {
        "directories": [{"path": "/out", "mode": "0700"}, {"path": "/out/d"}],
        "files": [{"path": "/out/kept", "content": "changed"}, {"path": "/out/f", "content": "x"}],
        "symlinks": [{"path": "/out/s", "target": "x"}],
    }
    run_stage(NAME, options)
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert (outside / "kept").read_text() == "kept"
    assert mode(outside) == 0o755


@pytest.mark.parametrize(
    "path", ["", "/", "etc/x", "/../x", "/a/../x", "/a/..", "/a/./b", "/a//b", "/a/", "/a\n", "/a\0"]
)
def test_refuses_paths(path: str) -> None:
    assert not accepts(NAME, {"files": [{"path": path, "content": ""}]})


@pytest.mark.parametrize("path", ["/a", "/..a", "/a../b.", "/a b/…", "/.hidden"])
def test_accepts_paths(path: str) -> None:
    assert accepts(NAME, {"files": [{"path": path, "content": ""}]})


@pytest.mark.parametrize(
    "entry",
    [
        {"path": "/x"},
        {"path": "/x", "content": "", "base64": ""},
        {"path": "/x", "content": "", "mode": "0888"},
        {"path": "/x", "content": "", "mode": 420},
        {"path": "/x", "content": "", "owner": -1},
        {"path": "/x", "content": "", "user": "root"},
    ],
)
def test_refuses(entry: dict[str, Any]) -> None:
    assert not accepts(NAME, {"files": [entry]})
