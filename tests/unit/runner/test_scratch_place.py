"""Where trees are worked on: in memory while there is enough of it, else beside the store; never where others were."""

import os
from pathlib import Path

import pytest

from runner.store import scratch_place
from runner.store.store import Store


@pytest.fixture
def shm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A directory in place of /dev/shm, with plenty of memory."""
    place = tmp_path / "shm"
    place.mkdir()
    monkeypatch.setattr(scratch_place, "SHM", place)
    monkeypatch.setattr(scratch_place, "available_memory", lambda: 64 << 30)
    monkeypatch.setattr(scratch_place, "free_in_memory", lambda: 64 << 30)
    return place


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.mark.parametrize(
    ("available_gib", "free_gib", "in_memory"), [(8, 8, True), (2, 8, False), (8, 2, False), (3.9, 100, False)]
)
def test_little_memory_sends_scratch_to_disk(
    monkeypatch: pytest.MonkeyPatch, shm: Path, store: Store, available_gib: float, free_gib: float, in_memory: bool
) -> None:
    monkeypatch.setattr(scratch_place, "available_memory", lambda: int(available_gib * (1 << 30)))
    monkeypatch.setattr(scratch_place, "free_in_memory", lambda: int(free_gib * (1 << 30)))
    root = scratch_place.default_root(store)
    assert (root.parent == shm) == in_memory
    assert in_memory or root == store.root / "scratch"


def test_each_store_has_its_own_and_keeps_it(shm: Path, store: Store, tmp_path: Path) -> None:
    root = scratch_place.default_root(store)
    assert root.stat().st_mode & 0o777 == 0o700
    assert scratch_place.default_root(store) == root
    other = scratch_place.default_root(Store(tmp_path / "other"))
    assert other != root
    assert sorted(shm.iterdir()) == sorted([root, other])


@pytest.mark.parametrize("plant", ["link", "fifo", "file", "open to others", "nothing"])
@pytest.mark.usefixtures("shm")
def test_what_is_at_the_recorded_name_is_not_trusted(store: Store, tmp_path: Path, plant: str) -> None:
    """As after a restart, when another user has taken the name."""
    root = scratch_place.default_root(store)
    for name in root.iterdir():
        name.unlink()
    root.rmdir()
    match plant:
        case "link":
            (tmp_path / "victim").mkdir(mode=0o700)
            root.symlink_to(tmp_path / "victim")
        case "fifo":
            os.mkfifo(root)
        case "file":
            root.write_text("")
        case "open to others":
            root.mkdir()
            root.chmod(0o755)
    fresh = scratch_place.default_root(store)
    assert fresh != root
    assert fresh.is_dir()
    scratch_place.remove_orphans()
    scratch_place.clear_scratch(store)
    assert os.path.lexists(root) == (plant != "nothing")
    assert not fresh.exists()


@pytest.mark.parametrize("name", ["", "..", "../store", "osbuild-compose-x/../../y", "other", "osbuild-compose-a\n"])
@pytest.mark.usefixtures("shm")
def test_a_damaged_record_is_no_place(store: Store, name: str) -> None:
    scratch_place.default_root(store)
    (store.root / scratch_place.RECORD).write_text(name)
    assert scratch_place.in_memory(store.root) is None


def test_orphans_are_removed_and_others_stay(shm: Path, store: Store, tmp_path: Path) -> None:
    root = scratch_place.default_root(store)
    gone, unknown, old, bad, fresh = (shm / f"osbuild-compose-{name}" for name in ("1000-ab", "b", "c", "d", "e"))
    for directory in (gone, unknown, old, bad, fresh):
        directory.mkdir(mode=0o700)
    (gone / "store").write_text(str(tmp_path / "no such store"))
    (unknown / "store").write_text(str(store.root))  # but the store has another
    os.utime(old, (1, 1))
    (bad / "store").write_bytes(b"/\xff\xfe\n" * 5000)
    (shm / "osbuild-compose-link").symlink_to(root)
    os.mkfifo(shm / "osbuild-compose-fifo")
    (shm / "other").mkdir()
    scratch_place.remove_orphans()
    left = {"osbuild-compose-link", "osbuild-compose-fifo", "other", root.name, fresh.name}
    assert {path.name for path in shm.iterdir()} == left


def test_memory_is_read_from_the_kernel() -> None:
    assert 0 < scratch_place.available_memory() < 1 << 50
