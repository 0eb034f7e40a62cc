"""Pipeline JSON, format v1: {"name", "stages": [{"name", "options"}], "assembler": {"name", "options"}}."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ruamel.yaml.error import YAMLError

from osbuild_compose.compile import release_checks
from osbuild_compose.compile.context import template_variables
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.compile.template import engine, limits, output, template_blocks
from osbuild_compose.distro.catalog import built_in
from osbuild_compose.distro.model import Release
from osbuild_compose.document.node import path_text
from osbuild_compose.errors import Location, TemplateError
from osbuild_compose.problem import Problem, as_error

if TYPE_CHECKING:
    from osbuild_compose.compile.template.tracing import Origin, Origins

Pipeline = dict[str, Any]
Rendered = TypeVar("Rendered")


def compile_request(request: BuildRequest) -> Pipeline:
    """The pipeline that makes the requested images.

    Raises InputError, or DocumentError with all of them, when the release does not support what the blueprint
    asks, TemplateError when the template is wrong or a key is missing.
    """
    template = request.release.template
    with _bounded(request):
        text = _render(request, engine.render)
        template_blocks.check(template, request.catalog.directories, built_in())
        try:
            return _parse(text, template)
        except _BadOutputError as raised:
            bad = raised
    raise located(bad.error, bad.find(origins(request)))


def origins(request: BuildRequest) -> "Origins":
    """The origins of the parts of the pipeline that compile_request makes. Raises as compile_request does."""
    from osbuild_compose.compile.template import tracing  # noqa: PLC0415 - for errors and --explain only

    with _bounded(request):
        return _render(request, tracing.render)


_ENTRY = 512  # bytes that the path, digest and address of a file of an overlay take in the pipeline


def _bounded(request: BuildRequest) -> AbstractContextManager[None]:
    """The bounds of time and memory for rendering the request."""
    files, overlays = request.blueprint.files, request.blueprint.overlays
    content = sum(len(text) for file in files for text in (file.content, file.base64) if text)
    entries = (len(item) * _ENTRY for tree in overlays for item in (tree.directories, tree.files, tree.symlinks))
    return limits.bounded(content + sum(entries))


def located(error: TemplateError, origin: "Origin | None") -> TemplateError:
    """The error located at the template line in `origin`, if there is one."""
    if origin is None:
        return error
    block = next((site for site in origin.around if site.what == "block"), None)
    inside = [f"in the block `{block.name}`, which begins in line {block.line}"] if block else []
    location = engine.location_of(origin.place.file, origin.place.line)
    return TemplateError(error.brief, details=[*inside, *error.details], hint=error.hint, location=location)


def _render(
    request: BuildRequest, renderer: Callable[[str, Sequence[Path], Path, Mapping[str, Any]], Rendered]
) -> Rendered:
    """The rendered template. Raises InputError(s) for everything the release does not support."""
    release, seen = request.release, template_variables(request)
    refused = list(
        release_checks.problems(request.blueprint, release, seen["repositories"], seen["image_repositories"])
    )
    rendered: Rendered | None = None
    try:
        rendered = renderer(release.template, request.catalog.directories, built_in(), seen)
    except engine.RefusedError as error:
        refused += [_refused(problem, release) for problem in error.problems]
    except TemplateError:
        if not refused:  # otherwise it may be a consequence of the refusal
            raise
    if refused or rendered is None:
        raise as_error([problem.located(request.blueprint.document) for problem in refused])
    return rendered


def _refused(problem: Problem, release: Release) -> Problem:
    return replace(problem, brief=f"{release.name} does not support `{path_text(problem.trail)}`: {problem.brief}")


def to_json(pipeline: Pipeline) -> str:
    """The canonical text of a pipeline: sorted keys, two spaces, one newline at the end.

    One with sources is {"pipeline", "sources"}, as osbuild has it.
    """
    if "sources" in pipeline:
        rest = {key: value for key, value in pipeline.items() if key != "sources"}
        pipeline = {"pipeline": rest, "sources": pipeline["sources"]}
    return json.dumps(pipeline, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def together(pipelines: Sequence[bytes]) -> bytes:
    """The text of a document with these pipelines: the only one, or {"pipelines", "sources"} for the runner."""
    if not pipelines[1:]:
        return pipelines[0]
    documents = [json.loads(text) for text in pipelines]
    sources: dict[str, dict[str, dict[str, Any]]] = {}
    for document in documents:
        for source, content in document.get("sources", {}).items():
            for kind, items in content.items():
                sources.setdefault(source, {}).setdefault(kind, {}).update(items)
    made = {"pipelines": [document.get("pipeline", document) for document in documents]}
    text = json.dumps(
        {**made, **({"sources": sources} if sources else {})}, indent=2, sort_keys=True, ensure_ascii=False
    )
    return f"{text}\n".encode()


class _BadOutputError(Exception):
    """The output of a template is no pipeline; `find` looks up the origin of what is wrong with it."""

    def __init__(self, error: TemplateError, find: "Callable[[Origins], Origin | None]") -> None:
        super().__init__(error.brief)
        self.error = error
        self.find = find


def _parse(text: str, template: str) -> Pipeline:
    try:
        pipeline = output.load(text)
    except (MemoryError, limits.TimeLimitError) as error:
        raise engine.too_large(error, Location(template)) from None
    except RecursionError:
        deep = TemplateError(f"the output of template {template} is nested too deeply")
        raise _BadOutputError(deep, lambda origins: origins.at(0)) from None
    except (YAMLError, ValueError, TypeError, ArithmeticError, AttributeError, LookupError) as error:
        raise _bad_yaml(error, text, template) from None
    if found := output.problem(pipeline):
        wrong = TemplateError(f"template {template}: {found.brief}", hint=found.hint)
        raise _BadOutputError(wrong, lambda origins: origins.value(found.trail))
    if not isinstance(pipeline, dict) or not isinstance(pipeline.get("stages"), list):
        brief = f"template {template} makes no pipeline: a mapping with `name`, `stages` and `assembler`"
        raise _BadOutputError(TemplateError(brief), lambda origins: origins.at(0))
    return pipeline


def _bad_yaml(error: Exception, text: str, template: str) -> _BadOutputError:
    problem = str(getattr(error, "problem", "") or error)
    mark = getattr(error, "problem_mark", None)
    if problem.startswith(("expected ',' or", "found unexpected end of stream")):  # reported far behind its cause
        mark = getattr(error, "context_mark", None) or mark
    lines = text.split("\n")
    details = (
        [f"line {mark.line + 1} of its output: {lines[mark.line][:200]}"] if mark and mark.line < len(lines) else []
    )
    hint = "in a template each value is a whole one: write {{ a ~ b }}, not {{ a }}{{ b }}"
    brief = f"template {template} does not make valid YAML: {problem[:500]}"
    position = mark.index if mark else 0
    return _BadOutputError(TemplateError(brief, details=details, hint=hint), lambda origins: origins.at(position))
