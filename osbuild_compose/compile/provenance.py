"""The provenance embedded in an image: its blueprint, and the ids of the stages that made its tree."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.blueprint.values import credentials, debconf
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.schema.schema_view import SchemaView
from osbuild_compose.version import __version__

STAGE = "org.osbuild-compose.provenance"
# Keys with secret values, and the user and password in an address, which are secret inside any text.
_SECRET = re.compile(r"passw|secret|token|credential|private", re.IGNORECASE)
_USER_OF_ADDRESS = re.compile(r"(?<=://)[^\s/@]+@")


def without_defaults(data: Any, view: SchemaView) -> Any:
    """The merged blueprint without defaults, so that spelling a default out does not change the image."""
    if isinstance(data, Mapping):
        return {
            key: without_defaults(value, view.below(key))
            for key, value in data.items()
            if key in view.required or value != view.below(key).default
        }
    return [without_defaults(item, view.item) for item in data] if isinstance(data, list) else data


def without_secrets(data: Any) -> Any:
    """The merged blueprint without secrets, and with ${ escaped so that it can be used as a blueprint again."""
    if isinstance(data, Mapping):
        shown = {key: debconf.without_passwords(value) if key == "debconf" else value for key, value in data.items()}
        return {key: without_secrets(value) for key, value in shown.items() if not _is_secret(key, value)}
    if isinstance(data, list):
        return [without_secrets(item) for item in data]
    return _USER_OF_ADDRESS.sub("", data).replace("${", "$${") if isinstance(data, str) else data


def _is_secret(key: str, value: Any) -> bool:
    return _SECRET.search(key) is not None and not isinstance(value, bool) and not _is_only_locked(value)


def _is_only_locked(value: Any) -> bool:
    """Whether this is the mark of a locked password, and not one with the hash behind it."""
    return isinstance(value, str) and "$" not in value and credentials.is_locked(value)


def completed(pipeline: dict[str, Any], blueprint: Blueprint, official: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The pipeline with the documents that its provenance stage embeds; unchanged if it has no such stage.

    official() returns the pipeline whose ids are embedded.
    """
    stages = pipeline["stages"]
    place = next((number for number, stage in enumerate(stages) if stage["name"] == STAGE), None)
    if place is None:
        return pipeline
    documents = {"build": {**_facts(blueprint), **_made(ids(official(), place))}}
    if blueprint.document is not None:
        normal = without_defaults(blueprint.document.data, SchemaView.whole(schema_files.load("blueprint")))
        documents["blueprint"] = without_secrets(normal)
    stage = {"name": STAGE, "options": {"documents": documents}}
    return {**pipeline, "stages": [*stages[:place], stage, *stages[place + 1 :]]}


def _facts(blueprint: Blueprint) -> dict[str, Any]:
    facts = {"name": blueprint.name, "version": blueprint.version, "distro": blueprint.distro, "arch": blueprint.arch}
    known: dict[str, Any] = {key: value for key, value in facts.items() if value is not None}
    if any(script.network for script in blueprint.scripts):
        known["reproducible"] = False
    return {**known, "made_by": f"osbuild-compose {__version__}"}


def _made(before: list[dict[str, str]]) -> dict[str, Any]:
    return {"stages": before, "tree_id": before[-1]["id"]} if before else {}


def ids(pipeline: Mapping[str, Any], count: int) -> list[dict[str, str]]:
    """The names and osbuild's ids of the first `count` stages."""
    build = tree_id(pipeline["build"]) if pipeline.get("build") else None
    base = pipeline.get("base")
    found = []
    for stage in pipeline["stages"][:count]:
        base = stage_id(stage["name"], build, base, stage.get("options", {}))
        found.append({"name": stage["name"], "id": base})
    return found


def tree_id(pipeline: Mapping[str, Any]) -> str | None:
    """osbuild's id of the tree that a pipeline makes; it may be in the form {"pipeline", "runner"} of `build`."""
    pipeline = pipeline.get("pipeline", pipeline)
    found = ids(pipeline, len(pipeline.get("stages", ())))
    return found[-1]["id"] if found else pipeline.get("base")


def stage_id(name: str, build: str | None, base: str | None, options: Mapping[str, Any]) -> str:
    """osbuild's id of a stage: build is that of the build root's tree, base that of the stage before."""
    digest = hashlib.sha256()
    for part in (name, build, base, options):
        digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()
