"""org.osbuild.timezone"""

from pathlib import Path

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.timezone"


@pytest.fixture
def zoned(tree: Path) -> Path:
    """A tree with two zones and a table."""
    for zone in ("Europe/Prague", "Europe/Paris"):
        write(tree, f"usr/share/zoneinfo/{zone}", "TZif2")
        write(tree, f"usr/share/zoneinfo/right/{zone}", "TZif2")
    write(tree, "usr/share/zoneinfo/zone.tab", "# a table")
    return tree


def test_points_at_the_zone(zoned: Path, run_stage: RunStage) -> None:
    write(zoned, "etc/localtime", "a copy")
    assert run_stage(NAME, {"zone": "Europe/Prague"}).status == 0
    link = zoned / "etc/localtime"
    assert str(link.readlink()) == "../usr/share/zoneinfo/Europe/Prague"
    assert link.read_text() == "TZif2"
    assert not (zoned / "etc/timezone").exists()


def test_keeps_etc_timezone_in_step(zoned: Path, run_stage: RunStage) -> None:
    write(zoned, "etc/timezone", "Etc/UTC\n")
    run_stage(NAME, {"zone": "Europe/Prague"})
    assert (zoned / "etc/timezone").read_text() == "Europe/Prague\n"


@pytest.mark.parametrize("zone", ["Europe/Prag", "europe/prague", "Europe", "Prague"])
def test_a_zone_that_is_not_there(zoned: Path, run_stage: RunStage, zone: str) -> None:
    result = run_stage(NAME, {"zone": zone})
    assert result.status == 1
    assert f"error: the tree has no time zone '{zone}'" in result.log
    assert not (zoned / "etc/localtime").exists()


@pytest.mark.usefixtures("zoned")
def test_suggests_the_nearest_zone(run_stage: RunStage) -> None:
    log = run_stage(NAME, {"zone": "europe/prag"}).log
    assert "did you mean Europe/Prague" in log
    assert "right/" not in log


def test_without_tzdata(tree: Path, run_stage: RunStage) -> None:
    result = run_stage(NAME, {"zone": "Europe/Prague"})
    assert result.status == 1
    assert "add tzdata to `packages`" in result.log
    assert run_stage(NAME, {"zone": "UTC"}).status == 0
    assert (tree / "etc/localtime").is_symlink()


@pytest.mark.parametrize("zone", ["../../etc/passwd", "/etc/passwd", "Europe/../x", "", "UTC\n", "a//b"])
def test_refuses(zone: str) -> None:
    assert not accepts(NAME, {"zone": zone})
