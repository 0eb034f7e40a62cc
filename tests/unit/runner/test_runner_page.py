"""docs/reference/runner.md says what the code does: options, keys, the sandbox's rules."""

import re
from dataclasses import fields
from pathlib import Path

from runner.__main__ import parser
from runner.manifest.identity import EXECUTOR_ABI, Ingredients
from runner.manifest.sources import FILES, INLINE
from runner.manifest.v1 import PIPELINE_KEYS
from runner.sandbox import buildroot, bwrap, seccomp
from runner.sandbox.seccomp_numbers import ABIS
from runner.sources.fetch import SECRETS
from runner.store.store import Store

PAGE = (Path(__file__).resolve().parents[3] / "docs/reference/runner.md").read_text()
SECTIONS = dict(zip(*[iter(re.split(r"^## (.*)$", "## \n" + PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True))


def named(text: str, pattern: str) -> set[str]:
    return set(re.findall(rf"`({pattern})`", text))


def test_all_options_and_no_others_are_in_the_table() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    written = {option for row in rows for option in re.findall(r"-{1,2}[a-z][a-z-]*", row)}
    assert written == {option for action in parser()._actions for option in action.option_strings}
    assert all(name in PAGE for name in SECRETS)


def test_the_manifests_keys() -> None:
    heads = [line.partition(":")[0] for line in SECTIONS["The manifest"].splitlines() if line.startswith("* ")]
    assert [head.strip("* `") for head in heads] == list(PIPELINE_KEYS)
    assert all(name in SECTIONS["The manifest"] for name in (*FILES, INLINE))


def test_what_a_cache_key_is_made_of() -> None:
    items = [line for line in SECTIONS["Ids and cache keys"].splitlines() if line.startswith("* ")]
    heads = " ".join(re.sub(r"\(.*?\)", "", item.partition(":")[0]) for item in items)
    assert named(heads, r"\w+") == {field.name for field in fields(Ingredients)} | {"abi"}
    assert EXECUTOR_ABI >= 1


def test_the_stores_directories(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.keep_failed(b"{}")
    store.close()
    made = {path.name for path in store.root.iterdir()} | {"scratch"}
    assert (
        set(re.findall(r"^    (?:\w+/, )*?(\w+)/", SECTIONS["The store"].replace(", ", "\n    "), re.MULTILINE)) == made
    )


def test_what_the_sandbox_allows() -> None:
    text = SECTIONS["What a stage sees"]
    assert named(text, r"CAP_\w+") == set(bwrap.CAPABILITIES)
    denied = text.partition("fail with EPERM")[2].partition("\nand so do")[0]
    assert named(denied, r"\w+") == set(seccomp.DENIED)
    missing = text.partition("fail with ENOSYS")[2].partition("\n`socket`")[0]
    assert named(missing, r"\w+") == set(seccomp.MISSING)
    architectures = text.partition("There is a filter for ")[2].partition(".")[0]
    assert set(re.findall(r"\w+", architectures)) - {"and"} == set(ABIS)
    environment = text.partition("Its environment is")[2].partition("and its umask")[0]
    assert named(environment, r"\w+") == {*bwrap.environment(0), "COMPOSE_PROGRESS_FD"}
    etc = text.partition("that programs need:")[2].partition("\n* its own")[0]
    assert named(etc, r"[\w./-]+") == set(buildroot.ETC_SHARED)
    assert all(place in text for place in (bwrap.TREE, bwrap.OUTPUT, bwrap.ARGUMENTS, bwrap.SOURCES, bwrap.DOWNLOADS))
