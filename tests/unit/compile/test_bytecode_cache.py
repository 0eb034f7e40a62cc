"""Templates compiled once for all runs of the program."""

from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from osbuild_compose.compile.template import bytecode_cache


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def render(directory: Path) -> str:
    engine = Environment(loader=FileSystemLoader(directory), autoescape=True)
    engine.bytecode_cache = bytecode_cache.cache()
    return engine.get_template("a.j2").render(x=1)


def test_a_template_is_compiled_once_and_again_when_it_changes(tmp_path: Path, home: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ x }}")
    assert [render(tmp_path), render(tmp_path)] == ["1", "1"]
    (kept,) = home.glob("osbuild-compose-templates/*/*.cache")
    before = kept.read_bytes()
    (tmp_path / "a.j2").write_text("{{ x + 1 }}")
    assert render(tmp_path) == "2"
    assert kept.read_bytes() != before


def test_damage_is_made_good(tmp_path: Path, home: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ x }}")
    render(tmp_path)
    (kept,) = home.glob("osbuild-compose-templates/*/*.cache")
    kept.write_bytes(b"damaged")
    assert render(tmp_path) == "1"


def test_nothing_is_kept_where_others_may_write_or_nobody_can(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.j2").write_text("{{ x }}")
    render(tmp_path)
    (directory,) = home.glob("osbuild-compose-templates/*")
    directory.chmod(0o777)
    assert bytecode_cache.cache() is None
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert bytecode_cache.cache() is None
    assert render(tmp_path) == "1"
