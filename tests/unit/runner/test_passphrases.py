"""Passphrases: who gets them, and what of them is in cache keys."""

from pathlib import Path

from runner import passphrases
from runner.manifest import v1
from runner.programs import ProgramCatalog
from runner.resolve import resolve

META = '{"summary": "", "description": [], "capabilities": [], "network": false, "schema": {}}'
KNOWN = {"web/root": "open sesame", "web/home": "secret"}


def test_a_step_may_read_what_its_options_name() -> None:
    assert passphrases.named_in({"disk": [{"luks": {"passphrase": "web/root"}}], "n": 1}, KNOWN) == {"web/root"}
    assert passphrases.named_in({"web/root": None, "a": ["x", 5]}, KNOWN) == set()


def test_they_are_found_among_the_secrets_of_sources() -> None:
    assert passphrases.passphrases({passphrases.PASSPHRASES: KNOWN, "org.osbuild.files": {"user": "me"}}) == KNOWN
    assert passphrases.passphrases({}) == {}


def test_another_passphrase_is_another_key_that_does_not_reveal_it(tmp_path: Path) -> None:
    (tmp_path / "assemblers").mkdir()
    program = tmp_path / "assemblers/org.example.encrypt"
    program.write_text("#!/usr/bin/python3\n")
    program.chmod(0o755)
    program.with_name("org.example.encrypt.meta.json").write_text(META)
    manifest = v1.load({"stages": [], "assembler": {"name": "org.example.encrypt", "options": {"key": "web/root"}}})

    def key(known: dict[str, str]) -> tuple[str, str]:
        step = resolve(manifest, ProgramCatalog([tmp_path]), {}, 0, known)[-1].assembler
        assert step
        return step.key, step.ingredients.canonical()

    assert key({}) == key({"web/home": "secret"})
    assert key(KNOWN) == key({"web/root": "open sesame"})
    assert len({key(known)[0] for known in ({}, KNOWN, {"web/root": "other"})}) == 3
    assert "sesame" not in key(KNOWN)[1]
