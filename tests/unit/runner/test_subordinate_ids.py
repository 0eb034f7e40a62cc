"""Reading /etc/subuid, subuid(5)."""

from pathlib import Path

import pytest

from runner.sandbox.namespace import IdRange, subordinate_ids


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("bob:100000:65536\n", None),
        ("ann:100000:65536\n", IdRange(100000, 65536)),
        ("1000:5:7\n", IdRange(5, 7)),
        ("ann:1:10\nann:100000:65536\n", IdRange(100000, 65536)),
        ("# comment\nann:x:y\nann\n", None),
    ],
)
def test_the_largest_range_of_the_user_is_found(tmp_path: Path, text: str, found: IdRange | None) -> None:
    path = tmp_path / "subuid"
    path.write_text(text)
    assert subordinate_ids(path, "ann", 1000) == found


def test_no_file_is_no_range(tmp_path: Path) -> None:
    assert subordinate_ids(tmp_path / "none", "ann", 1000) is None
