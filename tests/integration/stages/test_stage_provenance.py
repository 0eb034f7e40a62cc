"""org.osbuild-compose.provenance"""

import json
from pathlib import Path

from tests.integration.stages.stage_programs import RunStage, accepts

NAME = "org.osbuild-compose.provenance"


def test_documents_become_files_that_only_root_reads(tree: Path, run_stage: RunStage) -> None:
    documents = {"build": {"name": "web", "ünï": "ž"}, "lock": {"packages": []}}
    result = run_stage(NAME, {"documents": documents})
    assert result.status == 0, result.log
    top = tree / "usr/lib/osbuild-compose"
    assert sorted(path.name for path in top.iterdir()) == ["build.json", "lock.json"]
    for name, document in documents.items():
        path = top / f"{name}.json"
        assert json.loads(path.read_text()) == document
        assert path.stat().st_mode & 0o7777 == 0o600


def test_the_same_documents_give_the_same_bytes(tree: Path, run_stage: RunStage) -> None:
    path = tree / "usr/lib/osbuild-compose/build.json"
    found = []
    for document in ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}):
        assert run_stage(NAME, {"documents": {"build": document}}).status == 0
        found.append(path.read_bytes())
    assert found[0] == found[1]


def test_a_link_in_the_tree_leads_nowhere_else(tree: Path, tmp_path: Path, run_stage: RunStage) -> None:
    (tree / "usr/lib").mkdir(parents=True)
    (tree / "usr/lib/osbuild-compose").symlink_to(tmp_path / "outside")
    result = run_stage(NAME, {"documents": {"build": {}}})
    assert result.status == 0, result.log
    assert not (tmp_path / "outside").exists()
    assert (tree / tmp_path.relative_to("/") / "outside/build.json").is_file()  # as the booted system would see it


def test_names_are_no_paths() -> None:
    assert accepts(NAME, {"documents": {"build": {}}})
    for name in ("../etc", "a/b", "", ".", "A"):
        assert not accepts(NAME, {"documents": {name: {}}})
