"""How long steps took, as the store keeps it."""

from pathlib import Path

from runner import costs
from runner.store import files
from runner.store.costs import KEPT, Costs


def test_the_last_time_counts(tmp_path: Path) -> None:
    kept = Costs(tmp_path / "costs.json", tmp_path / "lock")
    assert kept.load() == {}
    kept.add({"a": 1.0, "b": 2.0})
    kept.add({"a": 3.0})
    assert list(kept.load().items()) == [("b", 2.0), ("a", 3.0)]
    kept.add({str(number): 1.0 for number in range(KEPT)})
    assert len(kept.load()) == KEPT
    assert "a" not in kept.load()


def test_damage_and_others_are_no_error(tmp_path: Path) -> None:
    kept = Costs(tmp_path / "costs.json", tmp_path / "lock")
    (tmp_path / "costs.json").write_text('{"seconds": [["a", 1]]}')  # without its checksum
    assert kept.load() == {}
    lock = files.open_lock(tmp_path / "lock")
    assert files.try_lock(lock)
    kept.add({"a": 1.0})
    assert kept.load() == {}
    (tmp_path / "costs.json").unlink()
    (tmp_path / "costs.json").mkdir()
    assert kept.load() == {}


def test_names() -> None:
    same = costs.names("x", {"a": 1, "b": 2}, is_first=False)
    assert same == costs.names("x", {"b": 2, "a": 1}, is_first=False)
    assert same[0] != costs.names("x", {"a": 1}, is_first=False)[0]
    assert same[1] != costs.names("x", {}, is_first=True)[1]
    assert costs.expected({"b": 2.0}, ["a", "b"]) == 2.0
    assert costs.expected({}, ["a"]) is None
