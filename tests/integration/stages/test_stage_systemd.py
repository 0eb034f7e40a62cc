"""org.osbuild.systemd, with the host's systemctl; the tree's own is tested on a real tree."""

import shutil
from pathlib import Path

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.systemd"
UNITS = "usr/lib/systemd/system"
needs_systemctl = pytest.mark.skipif(shutil.which("systemctl") is None, reason="no systemctl on this machine")


@pytest.fixture
def units(tree: Path) -> Path:
    """A tree with a few units and no systemctl."""
    install = "[Unit]\n[Install]\nWantedBy=multi-user.target\n"
    for name in ("nginx.service", "ssh.service", "getty@.service"):
        write(tree, f"{UNITS}/{name}", install)
    for name in ("multi-user.target", "graphical.target"):
        write(tree, f"{UNITS}/{name}", "[Unit]\n")
    return tree


@needs_systemctl
def test_enables_disables_masks_and_sets_the_target(units: Path, run_stage: RunStage) -> None:
    wants = units / "etc/systemd/system/multi-user.target.wants"
    assert run_stage(NAME, {"enabled_services": ["nginx", "ssh.service", "getty@ttyS0"]}).status == 0
    assert sorted(path.name for path in wants.iterdir()) == ["getty@ttyS0.service", "nginx.service", "ssh.service"]
    result = run_stage(
        NAME,
        {"disabled_services": ["ssh"], "masked_services": ["apt-daily.timer"], "default_target": "graphical.target"},
    )
    assert result.status == 0, result.log
    assert not (wants / "ssh.service").is_symlink()
    assert str((units / "etc/systemd/system/apt-daily.timer").readlink()) == "/dev/null"
    assert (units / "etc/systemd/system/default.target").readlink().name == "graphical.target"


@pytest.mark.parametrize("key", ["enabled_services", "disabled_services"])
def test_an_unknown_unit_is_named(units: Path, run_stage: RunStage, key: str) -> None:
    result = run_stage(NAME, {key: ["ssh", "ngnix"]})
    assert result.status == 1
    assert "error: the tree has no unit 'ngnix.service'" in result.log
    assert "did you mean nginx?" in result.log
    assert not (units / "etc").exists()


@pytest.mark.usefixtures("units")
def test_an_unknown_target_is_named(run_stage: RunStage) -> None:
    result = run_stage(NAME, {"default_target": "multiuser.target"})
    assert result.status == 1
    assert "did you mean multi-user.target" in result.log


@pytest.mark.parametrize("unit", ["", "a b", "--root=/", "../x", "a\n"])
def test_refuses(unit: str) -> None:
    assert not accepts(NAME, {"enabled_services": [unit]})


@pytest.mark.usefixtures("units")
def test_an_option_as_unit_is_none(run_stage: RunStage) -> None:
    assert "no unit '--force.service'" in run_stage(NAME, {"enabled_services": ["--force"]}).log
