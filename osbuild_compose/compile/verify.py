"""Verifying a rendered pipeline: its stages exist, and their options are valid."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from osbuild_compose.compile.module_catalog import ModuleKind, Program, Programs, nearest_name
from osbuild_compose.compile.pipeline import located
from osbuild_compose.document.node import SourceText, Span, Trail, from_data, path_text
from osbuild_compose.document.schema import schema_errors
from osbuild_compose.errors import TemplateError, TemplatesError, as_one
from osbuild_compose.problem import Problem

if TYPE_CHECKING:
    from osbuild_compose.compile.template.tracing import Origins


def verify(pipeline: Mapping[str, Any], programs: Programs, origins: "Callable[[], Origins]") -> None:
    """Raise TemplateError(s) with template and line if the runner would refuse the pipeline.

    origins is called only then.
    """
    found = list(problems(pipeline, programs))
    if not found:
        return
    known = origins()
    errors = [located(TemplateError(item.brief, hint=item.hint), known.value(item.trail)) for item in found]
    raise as_one(errors, TemplatesError)


def problems(pipeline: Mapping[str, Any], programs: Programs) -> Iterator[Problem]:
    """All problems of the pipeline's stages and assemblers, in their order."""
    for trail, item in _programs(pipeline, ()):
        kind = ModuleKind.ASSEMBLER if trail[-1] == "assembler" else ModuleKind.STAGE
        if not isinstance(item, dict) or not isinstance(name := item.get("name"), str):
            yield Problem(trail, f"a {kind} without a name", "a stage is a mapping with `name` and `options`")
        elif name not in programs.names(kind):
            hint = nearest_name(name, programs.names(kind))
            yield Problem((*trail, "name"), f"there is no {kind} {name}", hint)
        else:
            yield from _options(programs.find(kind, name), item, trail)


def _programs(pipeline: Any, trail: Trail) -> Iterator[tuple[Trail, Any]]:
    """The stages and assemblers of a pipeline, those of its build root first."""
    if not isinstance(pipeline, dict):
        return
    if isinstance(build := pipeline.get("build"), dict):
        yield from _programs(build.get("pipeline"), (*trail, "build", "pipeline"))
    for index, item in enumerate(pipeline.get("stages") or ()):
        yield (*trail, "stages", index), item
    if pipeline.get("assembler") is not None:
        yield (*trail, "assembler"), pipeline["assembler"]


def _options(program: Program, item: Mapping[str, Any], trail: Trail) -> Iterator[Problem]:
    for key in item:
        if key not in ("name", "options"):
            brief = f"{program.name}: unknown key `{key}`; a {program.kind} has `name` and `options`"
            yield Problem((*trail, key), brief)
    fallback = f"its options: compose stages show {program.name}"
    options = item.get("options", {})
    tree = from_data(options, Span(SourceText(program.name)))
    validator = _validator(json.dumps(program.schema, sort_keys=True))
    for error in sorted(validator.iter_errors(options), key=lambda e: [str(step) for step in e.path]):
        for found in schema_errors.explain(error, tree, schema=program.schema, subject="`options`"):
            path = f" ({path_text(('options', *found.trail))})" if len(found.trail) > 1 else ""
            problem = replace(found, brief=f"{program.name}: {found.brief}{path}", hint=found.hint or fallback)
            yield problem.within(*trail, "options")


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft7Validator  # noqa: PLC0415 - slow to import
    from jsonschema.validators import validator_for  # noqa: PLC0415

    loaded = json.loads(schema)
    return validator_for(loaded, default=Draft7Validator)(loaded)
