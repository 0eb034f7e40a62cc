"""org.osbuild.keymap; console-setup is tested on a real tree."""

from pathlib import Path

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.keymap"
MODEL_MAP = "# a comment\nde-latin1\tde\tpc105\t-\tterminate:ctrl_alt_bksp\nus\tus\tpc105+inet\t-\t-\n"


def test_writes_vconsole_conf(tree: Path, run_stage: RunStage) -> None:
    write(tree, "etc/vconsole.conf", "FONT=eurlatgr\n")
    assert run_stage(NAME, {"keymap": "de-latin1"}).status == 0
    assert (tree / "etc/vconsole.conf").read_text() == "KEYMAP=de-latin1\n"
    assert not (tree / "etc/default/keyboard").exists()


def test_the_keymaps_of_kbd_are_known(tree: Path, run_stage: RunStage) -> None:
    write(tree, "usr/lib/kbd/keymaps/legacy/i386/qwertz/de-latin1.map.gz")
    assert run_stage(NAME, {"keymap": "de-latin1"}).status == 0
    result = run_stage(NAME, {"keymap": "de-latin"})
    assert result.status == 1
    assert "there is no keymap 'de-latin'" in result.log
    assert "did you mean de-latin1" in result.log
    assert (tree / "etc/vconsole.conf").read_text() == "KEYMAP=de-latin1\n"


def test_debian_has_its_own_file_too(debian: Path, run_stage: RunStage) -> None:
    write(debian, "usr/share/systemd/kbd-model-map", MODEL_MAP)
    assert run_stage(NAME, {"keymap": "us"}).status == 0
    assert (debian / "etc/vconsole.conf").read_text() == "KEYMAP=us\n"
    assert 'XKBLAYOUT="us"\n' in (debian / "etc/default/keyboard").read_text()


def test_debian_13_keeps_its_symlink(debian: Path, run_stage: RunStage) -> None:
    (debian / "etc/vconsole.conf").symlink_to("default/keyboard")
    run_stage(NAME, {"keymap": "us"})
    assert (debian / "etc/vconsole.conf").is_symlink()
    assert 'KEYMAP="us"\n' in (debian / "etc/vconsole.conf").read_text()


def test_debian_with_nothing_to_load_it(debian: Path, run_stage: RunStage) -> None:
    write(debian, "usr/share/systemd/kbd-model-map", MODEL_MAP)
    result = run_stage(NAME, {"keymap": "de-latin1"})
    assert result.status == 1
    assert "add console-setup to `packages`" in result.log


def test_an_unknown_keymap(debian: Path, run_stage: RunStage) -> None:
    write(debian, "usr/share/systemd/kbd-model-map", MODEL_MAP)
    write(
        debian,
        "usr/share/X11/xkb/rules/base.lst",
        "! model\n  pc86 x\n! layout\n  cz Czech\n! variant\n  qwerty cz: x\n",
    )
    result = run_stage(NAME, {"keymap": "de-latin"})
    assert result.status == 1
    assert "there is no keymap 'de-latin'" in result.log
    assert "did you mean de-latin1" in result.log


@pytest.mark.parametrize("keymap", ["", 'us"\nX="', "us\n", "a b", "../x"])
def test_refuses(keymap: str) -> None:
    assert not accepts(NAME, {"keymap": keymap})
