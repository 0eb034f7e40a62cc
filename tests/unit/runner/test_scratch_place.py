"""Where trees are worked on: in memory while there is enough of it, else beside the store."""

from pathlib import Path

import pytest

from runner.store import scratch


@pytest.mark.parametrize(
    ("available_gib", "free_gib", "in_memory"), [(8, 8, True), (2, 8, False), (8, 2, False), (3.9, 100, False)]
)
def test_little_memory_sends_scratch_to_disk(
    monkeypatch: pytest.MonkeyPatch, available_gib: float, free_gib: float, in_memory: bool
) -> None:
    monkeypatch.setattr(scratch, "available_memory", lambda: int(available_gib * (1 << 30)))
    monkeypatch.setattr(scratch, "free_in_memory", lambda: int(free_gib * (1 << 30)))
    root = scratch.default_root(Path("/some/store"), 1000)
    assert (root.parent == scratch.SHM) == in_memory
    assert in_memory or root == Path("/some/store/scratch")


def test_each_user_and_store_has_its_own() -> None:
    roots = {scratch.default_root(Path(store), uid) for store in ("/a", "/b") for uid in (0, 1000)}
    assert len(roots) in (2, 4)  # two where there is little memory: beside the stores


def test_memory_is_read_from_the_kernel() -> None:
    assert 0 < scratch.available_memory() < 1 << 50
