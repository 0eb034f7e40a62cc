"""Ids and cache keys: known vectors, and that everything that matters changes the key."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.manifest import v1
from runner.manifest.identity import Ingredients

NOOP = {"name": "org.osbuild.noop"}


def test_ids_of_a_lone_noop_are_osbuilds() -> None:
    pipeline = v1.load({"stages": [NOOP], "assembler": NOOP}).target
    assert pipeline.tree_id == "beda46704765a47e6d4f44aff22168ae36866c9c0e6e11552b775b77776b2969"
    assert pipeline.output_id == "7a3f428423152989c6fbfac6c74f2a231670a195803fd804fd63b432fbbd0b9f"


def test_options_enter_the_id() -> None:
    pipeline = v1.load({"stages": [{**NOOP, "options": {"zero": 0}}]}).target
    assert pipeline.tree_id == "04f0cae3c09fe8184094ad73fd4bc2c08745b4cd1153ccdbc5aa0ff22740bc29"


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_inline_build_pipeline_enters_the_ids(wrapped: bool) -> None:
    build: dict[str, Any] = {"stages": [{**NOOP, "options": {"one": 1}}]}
    document = {
        "build": {"pipeline": build, "runner": "org.osbuild.linux"} if wrapped else build,
        "stages": [NOOP],
        "assembler": NOOP,
    }
    build_pipeline, pipeline = v1.load(document).needed()
    assert pipeline.build == build_pipeline.name
    assert build_pipeline.tree_id == "50e5eae10f734975a1a2a98b69e1eddfd4fd1a286d4e7a5d7ed516bbd123c429"
    assert pipeline.tree_id == "924498975270b091c4f2779c56076e981633a183a520d69af94df5544ae061b7"
    assert pipeline.output_id == "8cfa7a354f0e02b635f7d92bde27c615ffeb2a650acdedfc335e95a102fa15ba"


def ingredients(**changes: Any) -> Ingredients:
    base = Ingredients(
        kind="stage",
        name="org.osbuild.noop",
        options={"a": 1},
        program="p",
        build="host debian 12",
        parent=None,
        sources={},
        architecture="x86_64",
        source_date_epoch=0,
        network=False,
        environment={"PATH": "/usr/bin"},
    )
    return dataclasses.replace(base, **changes)


def test_the_key_is_stable() -> None:
    """Changing this value throws away every store in the world: do it only together with EXECUTOR_ABI."""
    assert ingredients().key() == "ac34c140e07139c51f59542a7934fd310592d313d54297de0df6f22007795628"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
OTHERS: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.text(),
    "name": st.text(),
    "options": st.dictionaries(st.text(), JSON),
    "program": st.text(),
    "build": st.text(),
    "parent": st.none() | st.text(),
    "sources": st.dictionaries(st.text(), st.text()),
    "architecture": st.text(),
    "source_date_epoch": st.integers(),
    "network": st.booleans(),
    "environment": st.dictionaries(st.text(), st.text()),
    "secrets": st.dictionaries(st.text(), st.text()),
    "inputs": st.dictionaries(st.text(), st.text()),
}


def test_every_field_is_covered_below() -> None:
    assert set(OTHERS) == {field.name for field in dataclasses.fields(Ingredients)}


@pytest.mark.parametrize("field", sorted(OTHERS))
def test_any_other_value_of_a_field_is_another_key(field: str) -> None:
    @given(OTHERS[field])
    def check(value: Any) -> None:
        before = ingredients()
        # As JSON sees it: 1 and True are different values there.
        same = repr(getattr(before, field)) == repr(value)
        assert (ingredients(**{field: value}).key() == before.key()) == same

    check()
