"""Format 1 of osbuild's pipeline documents, as it was from 2019 to osbuild 10, and today's stricter form of it.

Accepted: a pipeline or {"pipeline", "sources"}, and `build` as a pipeline or {"pipeline", "runner"}. Beyond osbuild's
format: {"pipelines", "sources"}, several pipelines that are built together, since each has one tree only.
Nothing is ignored: an unknown key is an error that names its path.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from runner.manifest.document import is_id, join, mapping, only_keys, sequence, text, wrong
from runner.manifest.identity import osbuild_id
from runner.manifest.model import BaseTree, Manifest, ModuleCall, ModuleKind, Pipeline
from runner.manifest.sources import Source
from runner.manifest.sources import parse as parse_sources

VERSION = "1"
PIPELINE_KEYS = ("name", "base", "build", "stages", "assembler")
SEVERAL = "pipelines"
MAX_DEPTH = 32
MAX_NAME = 240  # bytes of the name of a stage, which with a suffix is that of a file

BuildRoot = tuple[Pipeline | None, str | None]  # a build pipeline and its runner


def load(document: Any, build_env: Any = None, sources: Any = None) -> Manifest:
    """Turn a decoded document into a manifest.

    build_env is the decoded document of --build-env ({"pipeline", "runner"} or a pipeline); it becomes the
    build root of the innermost pipeline. sources is the decoded document of --sources, which replaces the manifest's
    own. Raises RunnerError (input), with the path of what is wrong.
    """
    top = dict(mapping(document, ""))
    if "version" in top and top.pop("version") != VERSION:
        raise wrong("version", f"expected {VERSION!r}")
    reader = _Reader()
    if build_env is not None:
        reader.build_env = reader.build(build_env, "build-env", 1)
    key = next((one for one in (SEVERAL, "pipeline") if one in top), None)
    if key:
        only_keys(top, (key, "sources"), "")
        sources = top.get("sources") if sources is None else sources
    if key == SEVERAL:
        items = enumerate(sequence(top[SEVERAL], SEVERAL))
        targets = tuple(reader.pipeline(item, f"{SEVERAL}[{number}]", 0).name for number, item in items)
        if not targets:
            raise wrong(SEVERAL, "there is no pipeline")
    else:
        targets = (reader.pipeline(top["pipeline"] if key else top, key or "", 0).name,)
    files = parse_sources(mapping(sources if sources is not None else {}, "sources"))
    return Manifest(reader.found, targets, files, VERSION)


class _Reader:
    """Reads nested pipelines into a flat set, build pipelines before those that they serve."""

    def __init__(self) -> None:
        self.found: dict[str, Pipeline] = {}
        self.build_env: BuildRoot = (None, None)

    def pipeline(self, value: Any, path: str, depth: int) -> Pipeline:
        """The pipeline at `path`, so many levels below the document's own. Raises RunnerError (input)."""
        if depth > MAX_DEPTH:
            raise wrong(path, f"build pipelines nest deeper than {MAX_DEPTH}")
        fields = mapping(value, path)
        only_keys(fields, PIPELINE_KEYS, path)
        build, runner = self.build_env
        if _given(fields, "build"):
            build, runner = self.build(fields["build"], join(path, "build"), depth + 1)
        base = fields.get("base")
        if base is not None and not is_id(base):
            raise wrong(join(path, "base"), "the id of a tree is 64 hexadecimal digits")
        build_id = build.tree_id if build else None
        parent: str | None = base
        stages: list[ModuleCall] = []
        listed = sequence(fields["stages"] if fields.get("stages") is not None else [], join(path, "stages"))
        for number, item in enumerate(listed):
            place = f"{join(path, 'stages')}[{number}]"
            stages.append(_module_call(item, place, ModuleKind.STAGE, build_id, parent))
            parent = stages[-1].id
        assembler = None
        if _given(fields, "assembler"):
            place = join(path, "assembler")
            assembler = _module_call(fields["assembler"], place, ModuleKind.ASSEMBLER, build_id, parent)
        label = text(fields["name"] if fields.get("name") is not None else "", join(path, "name"))
        if len(label) > MAX_NAME:
            raise wrong(join(path, "name"), f"the name is longer than {MAX_NAME} characters")
        made = Pipeline(
            name=self._unique_name(label, "tree" if depth == 0 else f"build {len(self.found)}"),
            stages=tuple(stages),
            assembler=assembler,
            base=BaseTree(base) if base is not None else None,
            build=build.name if build else None,
            runner=runner,
            label=label,
        )
        self.found[made.name] = made
        return made

    def build(self, value: Any, path: str, depth: int) -> BuildRoot:
        """The build pipeline and its runner, from either form of `build`. Raises RunnerError (input)."""
        fields = mapping(value, path)
        if "pipeline" not in fields and "runner" not in fields:
            return self.pipeline(fields, path, depth), None
        only_keys(fields, ("pipeline", "runner"), path)
        runner = fields.get("runner")
        if runner is not None:
            runner = text(runner, join(path, "runner"))
        if not _given(fields, "pipeline"):
            return self.build_env[0], runner
        return self.pipeline(fields["pipeline"], join(path, "pipeline"), depth), runner

    def _unique_name(self, label: str, default: str) -> str:
        """The pipeline's own name, or one made from its place where it has none, or another pipeline has the same."""
        name = label if label and label not in self.found else default
        while name in self.found:
            name += "'"
        return name


def _module_call(value: Any, path: str, kind: ModuleKind, build: str | None, base: str | None) -> ModuleCall:
    fields = mapping(value, path)
    only_keys(fields, ("name", "options"), path)
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise wrong(join(path, "name"), f"the name of the {kind} is missing")
    if "/" in name or name.startswith(".") or len(name.encode()) > MAX_NAME:
        raise wrong(join(path, "name"), f"{name[:MAX_NAME]!r} is not a name of a {kind}")
    options = mapping(fields["options"] if fields.get("options") is not None else {}, join(path, "options"))
    return ModuleCall(kind, name, options, osbuild_id(name, build, base, options), path=path)


def _given(fields: Mapping[str, Any], key: str) -> bool:
    """Whether an object has a key; null and an empty object count as nothing, as in osbuild."""
    return fields.get(key) not in (None, {})


def describe(manifest: Manifest, *, ids: bool = True) -> dict[str, Any]:
    """The manifest as JSON, with or without the ids of its parts; it has everything that the document has."""
    shown = [_describe_pipeline(manifest, manifest.pipelines[name], ids=ids) for name in manifest.targets]
    if not manifest.sources:
        return {SEVERAL: shown} if shown[1:] else shown[0]
    sources: dict[str, Any] = {}
    for checksum, source in manifest.sources.items():
        items = "urls" if source.url else "items"
        sources.setdefault(source.name, {}).setdefault(items, {})[checksum] = _describe_source(source)
    return {**({SEVERAL: shown} if shown[1:] else {"pipeline": shown[0]}), "sources": sources}


def _describe_pipeline(manifest: Manifest, pipeline: Pipeline, *, ids: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if pipeline.label:
        shown["name"] = pipeline.label
    if pipeline.base:
        shown["base"] = pipeline.base.id
    build: dict[str, Any] = {}
    if pipeline.build is not None:
        build["pipeline"] = _describe_pipeline(manifest, manifest.pipelines[pipeline.build], ids=ids)
    if pipeline.runner:
        build["runner"] = pipeline.runner
    if build:
        shown["build"] = build
    if pipeline.stages:
        shown["stages"] = [_describe_call(stage, ids=ids) for stage in pipeline.stages]
    if pipeline.assembler:
        shown["assembler"] = _describe_call(pipeline.assembler, ids=ids)
    if ids:
        shown["tree_id"] = pipeline.tree_id
        shown["output_id"] = pipeline.output_id
    return shown


def _describe_call(call: ModuleCall, *, ids: bool) -> dict[str, Any]:
    shown = {"name": call.name, "options": dict(call.options)}
    return {**shown, "id": call.id} if ids else shown


def _describe_source(source: Source) -> Any:
    if source.image is not None:
        insecure = {} if source.image.tls_verify else {"tls-verify": False}
        return {"image": {"name": source.image.name, "digest": source.image.digest, **insecure}}
    if source.data is not None:
        return {"encoding": "base64", "data": b64encode(source.data).decode()}
    return source.url
