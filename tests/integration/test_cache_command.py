"""`compose cache` on a store that a real build made."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.integration.cli.commands import compose
from tests.integration.test_frontend import PIPELINE, run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    assert run(tmp_path, PIPELINE).returncode == 0
    return tmp_path / "store"


def cache(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return compose("cache", *arguments, "--store", store)


def test_ls_and_du_agree(store: Path) -> None:
    entries = json.loads(cache(store, "ls", "--json").stdout)
    assert [(entry["what"], entry["name"]) for entry in entries] == [
        ("output", "org.osbuild.tar"),
        ("layer", "org.osbuild-compose.files"),
    ]
    sizes = json.loads(cache(store, "du", "--json").stdout)
    assert sizes["total"] == sum(entry["size"] for entry in entries)
    assert sizes["layer"] == entries[1]["size"]


def test_a_pipe_gets_columns_separated_by_tabs(store: Path) -> None:
    rows = [line.split("\t") for line in cache(store, "ls").stdout.splitlines()]
    assert [row[:2] for row in rows] == [["output", "org.osbuild.tar"], ["layer", "org.osbuild-compose.files"]]
    assert rows[0][5] == "just now"


def test_a_terminal_gets_a_table(store: Path) -> None:
    main, other = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    argv = [sys.executable, "-m", "osbuild_compose", "cache", "ls", "--store", store]
    subprocess.run(
        argv, stdout=other, check=True, env={**environment, "TERM": "xterm", "PYTHONPATH": str(REPO)}, timeout=300
    )
    os.close(other)
    shown = os.read(main, 65536).decode()
    os.close(main)
    assert "\033[1mkind " in shown
    assert "2 entries, " in shown


def test_verify_tells_what_is_damaged_and_removes_it(store: Path) -> None:
    assert cache(store, "verify").returncode == 0
    archive = next((store / "layers").glob("*.zst"))
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    done = cache(store, "verify")
    assert done.returncode == 1
    assert "1 damaged entry in the store, removed" in done.stderr
    assert "made by org.osbuild-compose.files" in done.stderr
    assert not archive.exists()


def test_prune_and_clear(store: Path) -> None:
    assert "removed 0 entries" in cache(store, "prune", "--keep", "1G").stderr
    assert "removed 0 entries" in cache(store, "prune", "--days", "1").stderr
    removed = json.loads(cache(store, "prune", "--keep", "0", "--json").stdout)
    assert (removed["removed"], removed["left"]) == (2, 0)
    assert list((store / "refs").iterdir()) == []
    assert sorted(path.name for path in (store / "locks").iterdir()) == ["costs", "store"]
    done = cache(store, "clear")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["prune"], "say how much to keep"), (["prune", "--keep", "many"], "'many' is not a size")],
)
def test_wrong_arguments_are_reported(store: Path, arguments: list[str], message: str) -> None:
    done = cache(store, *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_store_that_is_none_is_reported(tmp_path: Path) -> None:
    done = cache(tmp_path, "ls")
    assert done.returncode == 2
    assert "is not a store" in done.stderr
    done = cache(tmp_path / "none", "clear")
    assert "nothing was built with this store yet" in done.stderr
    assert not (tmp_path / "none").exists()
