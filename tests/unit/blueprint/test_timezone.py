"""Names of time zones, by a list of this machine's that the tests make."""

import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest

from osbuild_compose.blueprint import timezone


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "Europe").mkdir()
    for name in ("UTC", "Europe/Prague"):
        (tmp_path / name).write_bytes(b"TZif2")
    zoneinfo.reset_tzpath([tmp_path])
    yield tmp_path
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("zones")
def test_known() -> None:
    assert timezone.problem("Europe/Prague") == ("", "")


@pytest.mark.usefixtures("zones")
def test_unknown() -> None:
    wrong = 'there is no time zone "Europe/Pragu"'
    assert timezone.problem("Europe/Pragu") == (wrong, "did you mean `Europe/Prague`?")


@pytest.mark.usefixtures("zones")
def test_a_directory_is_no_zone() -> None:
    assert timezone.problem("Europe")[0]


def test_nothing_is_told_where_no_zones_are_known(zones: Path) -> None:
    (zones / "UTC").unlink()
    assert timezone.problem("Europe/Pragu") == ("", "")
