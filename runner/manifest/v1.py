"""The pipeline JSON of osbuild's format 1, as it was from 2019 to osbuild 10, and today's stricter form of it.

Accepted: a pipeline by itself or {"pipeline", "sources"}; `build` as a pipeline by itself or {"pipeline", "runner"}.
Nothing is ignored: an unknown key is an error that names its path.
"""

import difflib
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from runner.errors import RunnerError, input_error
from runner.manifest.identity import osbuild_id
from runner.manifest.model import Manifest, Pipeline, Stage, What
from runner.sources.model import Source
from runner.sources.model import parse as parse_sources

PIPELINE_KEYS = ("name", "base", "build", "stages", "assembler")
MAX_DEPTH = 32


def decode(text: str | bytes, origin: str = "pipeline") -> Any:
    """The document in a JSON text; origin names it in messages.

    Raises RunnerError (input) for text that is not JSON, or that gives a key twice in one object.
    """
    try:
        document = json.loads(text, object_pairs_hook=_mark_duplicates)
        for path, value in _values(document):
            if isinstance(value, _Twice):
                raise _wrong(path, "this key is given twice")
        return document
    except json.JSONDecodeError as error:
        raise input_error(
            f"{origin}:{error.lineno}:{error.colno}: not JSON: {error.msg}",
            hint="a pipeline is a JSON document; `compose render` makes one from a blueprint",
        ) from None
    except UnicodeDecodeError as error:
        raise input_error(f"{origin}: not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise input_error(f"{origin}: nested too deeply") from None


def load(document: Any, build_env: Any = None, sources: Any = None) -> Manifest:
    """Turn a decoded document into a manifest.

    build_env is the decoded document of --build-env ({"pipeline", "runner"} or a pipeline by itself); it becomes the
    build root of the innermost pipeline. sources is the decoded document of --sources, which stands in for the
    manifest's own. Raises RunnerError (input), with the path of what is wrong.
    """
    top = _mapping(document, "")
    env = None if build_env is None else _build(build_env, "build-env", None, 0)
    path = ""
    if "pipeline" in top:
        _known(top, ("pipeline", "sources"), "")
        sources = top.get("sources") if sources is None else sources
        top, path = top["pipeline"], "pipeline"
    return Manifest(
        _pipeline(top, path, env, 0), parse_sources(_mapping(sources if sources is not None else {}, "sources"))
    )


def describe_manifest(manifest: Manifest, *, ids: bool = True) -> dict[str, Any]:
    """The manifest as JSON, by itself or with the ids of all its parts; nothing of the document is lost."""
    if not manifest.sources:
        return describe(manifest.pipeline, ids=ids)
    shown: dict[str, Any] = {}
    for checksum, source in manifest.sources.items():
        items = "urls" if source.url else "items"
        shown.setdefault(source.name, {}).setdefault(items, {})[checksum] = _describe_source(source)
    return {"pipeline": describe(manifest.pipeline, ids=ids), "sources": shown}


def _describe_source(source: Source) -> Any:
    if source.image is not None:
        insecure = {} if source.image.tls_verify else {"tls-verify": False}
        return {"image": {"name": source.image.name, "digest": source.image.digest, **insecure}}
    if source.data is not None:
        return {"encoding": "base64", "data": b64encode(source.data).decode()}
    return source.url


def describe(pipeline: Pipeline, *, ids: bool = True) -> dict[str, Any]:
    """The pipeline as JSON, by itself or with the ids of all its parts."""
    shown: dict[str, Any] = {}
    if pipeline.name:
        shown["name"] = pipeline.name
    if pipeline.base:
        shown["base"] = pipeline.base
    if pipeline.build or pipeline.runner:
        shown["build"] = {
            **({"pipeline": describe(pipeline.build, ids=ids)} if pipeline.build else {}),
            **({"runner": pipeline.runner} if pipeline.runner else {}),
        }
    if pipeline.stages:
        shown["stages"] = [_describe_step(stage, ids=ids) for stage in pipeline.stages]
    if pipeline.assembler:
        shown["assembler"] = _describe_step(pipeline.assembler, ids=ids)
    if ids:
        shown["tree_id"] = pipeline.tree_id
        shown["output_id"] = pipeline.output_id
    return shown


def _describe_step(stage: Stage, *, ids: bool) -> dict[str, Any]:
    shown = {"name": stage.name, "options": dict(stage.options)}
    return {**shown, "id": stage.id} if ids else shown


def _pipeline(value: Any, path: str, env: tuple[Pipeline | None, str | None] | None, depth: int) -> Pipeline:
    if depth > MAX_DEPTH:
        raise _wrong(path, f"build pipelines nest deeper than {MAX_DEPTH}")
    fields = _mapping(value, path)
    _known(fields, PIPELINE_KEYS, path)
    if _given(fields, "build"):
        build, runner = _build(fields["build"], _join(path, "build"), env, depth + 1)
    else:
        build, runner = env or (None, None)
    base = fields.get("base")
    if base is not None and not _is_id(base):
        raise _wrong(_join(path, "base"), "the id of a tree is 64 hexadecimal digits")
    build_id = build.tree_id if build else None
    parent: str | None = base
    stages: list[Stage] = []
    listed = fields["stages"] if fields.get("stages") is not None else []
    if not isinstance(listed, list):
        raise _wrong(_join(path, "stages"), f"expected a list, found {_kind(listed)}")
    for number, item in enumerate(listed):
        stage = _step(item, f"{_join(path, 'stages')}[{number}]", What.STAGE, build_id, parent)
        stages.append(stage)
        parent = stage.id
    assembler = None
    if _given(fields, "assembler"):
        assembler = _step(fields["assembler"], _join(path, "assembler"), What.ASSEMBLER, build_id, parent)
    name = fields["name"] if fields.get("name") is not None else ""
    if not isinstance(name, str):
        raise _wrong(_join(path, "name"), f"expected text, found {_kind(name)}")
    return Pipeline(name, tuple(stages), assembler, base, build, runner)


def _build(
    value: Any, path: str, env: tuple[Pipeline | None, str | None] | None, depth: int
) -> tuple[Pipeline | None, str | None]:
    """The build pipeline and its runner, from either form of `build`."""
    fields = _mapping(value, path)
    if "pipeline" not in fields and "runner" not in fields:
        return _pipeline(fields, path, env, depth), None
    _known(fields, ("pipeline", "runner"), path)
    runner = fields.get("runner")
    if runner is not None and not isinstance(runner, str):
        raise _wrong(_join(path, "runner"), f"expected text, found {_kind(runner)}")
    if not _given(fields, "pipeline"):
        return (env[0] if env else None), runner
    return _pipeline(fields["pipeline"], _join(path, "pipeline"), env, depth), runner


def _step(value: Any, path: str, what: What, build: str | None, base: str | None) -> Stage:
    fields = _mapping(value, path)
    _known(fields, ("name", "options"), path)
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise _wrong(_join(path, "name"), f"the name of the {what} is missing")
    if "/" in name or name.startswith("."):
        raise _wrong(_join(path, "name"), f"{name!r} is not a name of a {what}")
    options = _mapping(fields["options"] if fields.get("options") is not None else {}, _join(path, "options"))
    return Stage(what, name, options, osbuild_id(name, build, base, options))


def _given(fields: Mapping[str, Any], key: str) -> bool:
    """Whether a key is there; null and an empty object stand for nothing, as in osbuild."""
    return fields.get(key) not in (None, {})


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, f"expected an object, found {_kind(value)}")
    return value


def _known(fields: Mapping[str, Any], known: tuple[str, ...], path: str) -> None:
    for key in fields:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else "known here: " + ", ".join(known)
            raise _wrong(_join(path, key), "unknown key", hint)


class _Twice:
    """Stands in an object for the value of a key that was given twice."""


def _mark_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        seen[key] = _Twice() if key in seen else value
    return seen


def _values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a document, with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, _join(path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _values(item, f"{path}[{number}]")


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _wrong(path: str, message: str, hint: str = "") -> RunnerError:
    return input_error(f"{path or 'pipeline'}: {message}", hint)
