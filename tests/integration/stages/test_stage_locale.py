"""org.osbuild.locale; generating locales is tested on a real tree."""

from pathlib import Path

import pytest

from tests.integration.stages.stage_programs import RunStage, accepts, write

NAME = "org.osbuild.locale"


def test_fedora_without_the_language_takes_the_locale_as_given(tree: Path, run_stage: RunStage) -> None:
    assert run_stage(NAME, {"language": "cs_CZ.UTF-8"}).status == 0
    assert (tree / "etc/locale.conf").read_text() == "LANG=cs_CZ.UTF-8\n"
    assert not (tree / "etc/default/locale").exists()


def test_fedora_with_the_language_knows_its_locales(tree: Path, run_stage: RunStage) -> None:
    write(tree, "usr/lib/locale/de_DE.utf8/LC_CTYPE")
    write(tree, "usr/lib/locale/de_AT.utf8/LC_CTYPE")
    assert run_stage(NAME, {"language": "de_AT.UTF-8"}).status == 0
    result = run_stage(NAME, {"language": "de_ED.UTF-8"})
    assert result.status == 1
    assert "there is no locale 'de_ED.UTF-8'" in result.log
    assert "did you mean de_" in result.log
    assert (tree / "etc/locale.conf").read_text() == "LANG=de_AT.UTF-8\n"


def test_debian_has_its_own_file_too(debian: Path, run_stage: RunStage) -> None:
    write(debian, "etc/default/locale", "LANG=de_DE\nLC_TIME=C\n")
    assert run_stage(NAME, {"language": "C.UTF-8"}).status == 0
    assert (debian / "etc/locale.conf").read_text() == "LANG=C.UTF-8\n"
    assert (debian / "etc/default/locale").read_text() == "LANG=C.UTF-8\n"


def test_debian_13_keeps_its_symlink(debian: Path, run_stage: RunStage) -> None:
    (debian / "etc/default").mkdir()
    (debian / "etc/default/locale").symlink_to("../locale.conf")
    run_stage(NAME, {"language": "C.UTF-8"})
    assert (debian / "etc/default/locale").is_symlink()
    assert (debian / "etc/default/locale").read_text() == "LANG=C.UTF-8\n"


def test_debian_without_the_means_to_make_the_locale(debian: Path, run_stage: RunStage) -> None:
    result = run_stage(NAME, {"language": "cs_CZ.UTF-8"})
    assert result.status == 1
    assert "error: the tree has no locale 'cs_CZ.UTF-8'" in result.log
    assert "install the package `locales`" in result.log
    assert not (debian / "etc/locale.conf").exists()


@pytest.mark.parametrize("language", ["C", "C.UTF-8", "en_US.UTF-8", "de_DE@euro", "ca_ES.UTF-8@valencia", "eo"])
def test_accepts(language: str) -> None:
    assert accepts(NAME, {"language": language})


@pytest.mark.parametrize("language", ["", "en US", "en_US\nLD_PRELOAD=x", "C.UTF-8\n", "../x", '"'])
def test_refuses(language: str) -> None:
    assert not accepts(NAME, {"language": language})
