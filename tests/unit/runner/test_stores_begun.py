"""Stores and scratch directories that another process is making, or that a killed one left half made."""

from pathlib import Path

import pytest

from runner.errors import RunnerError
from runner.store.scratch import Scratch
from runner.store.store import Store


@pytest.mark.parametrize("parts", [(), ("layers",), ("refs",), ("layers", "refs"), ("layers", "refs", "outputs")])
def test_a_store_that_was_begun_is_finished(tmp_path: Path, parts: tuple[str, ...]) -> None:
    root = tmp_path / "store"
    root.mkdir()
    for name in parts:
        (root / name).mkdir()
    Store(root).close()
    assert all((root / name).is_dir() for name in ("layers", "refs", "outputs", "builds", "downloads", "tmp", "locks"))


def test_an_empty_directory_becomes_a_store_whatever_others_may_do_there(tmp_path: Path) -> None:
    """As a tmpfs is, which anybody may write to unless its mode is given."""
    root = tmp_path / "store"
    root.mkdir()
    root.chmod(0o1777)
    Store(root).close()
    assert root.stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("names", [("outputs",), ("layers", "notes"), ("refs", "outputs")])
def test_a_directory_with_other_things_is_no_store(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(RunnerError, match="has other things in it"):
        Store(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("names", [(), ("lock",), (".new-abc",), ("lock", ".new-abc"), ("lock", "store")])
def test_a_scratch_directory_that_was_begun_is_finished(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = tmp_path / "scratch"
    root.mkdir()
    for name in names:
        (root / name).touch()
    store = Store(tmp_path / "store")
    Scratch(root, store, "0").close()
    assert (root / "store").read_text() == str(store.root)


@pytest.mark.parametrize("names", [("tmp-important",), ("lock", "notes"), (".new-abc", "notes")])
def test_a_directory_with_other_things_is_no_scratch(tmp_path: Path, names: tuple[str, ...]) -> None:
    root = tmp_path / "scratch"
    root.mkdir()
    for name in names:
        (root / name).touch()
    with pytest.raises(RunnerError, match="has other things in it"):
        Scratch(root, Store(tmp_path / "store"), "0")
    assert sorted(path.name for path in root.iterdir()) == sorted(names)
