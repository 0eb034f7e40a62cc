"""Exporting into a directory where somebody else may rename and replace things."""

from pathlib import Path

from runner.export import _held_directory


def test_what_replaces_the_temporary_directory_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    with _held_directory(tmp_path) as (work, _):
        (place,) = tmp_path.glob(".compose-*")
        place.rename(tmp_path / "moved")
        place.symlink_to("victim")
        (work / "fresh").write_text("new")
        assert (tmp_path / "moved/fresh").read_text() == "new"
    assert list((tmp_path / "victim").iterdir()) == []
    assert not (tmp_path / "moved/fresh").is_symlink()
