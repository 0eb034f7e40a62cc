"""Checking a pipeline before it is handed out: stages that exist, with options that they take."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from osbuild_compose.compile.module_catalog import Kind, Program, Programs, nearest_name
from osbuild_compose.compile.pipeline import located
from osbuild_compose.document.node import Trail
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import TemplateError, TemplatesError, as_one

if TYPE_CHECKING:
    from osbuild_compose.compile.template.tracing import Origins

MAX_SHOWN = 80  # characters of a value that a message repeats


@dataclass(frozen=True)
class Problem:
    """A mistake in a pipeline: at which place of it, what, and what to do."""

    trail: Trail
    brief: str
    hint: str = ""


def verify(pipeline: Mapping[str, Any], programs: Programs, origins: "Callable[[], Origins]") -> None:
    """Raise TemplateError(s) with template and line if the pipeline is one that the runner would refuse.

    origins is asked only then.
    """
    found = list(problems(pipeline, programs))
    if not found:
        return
    where = origins()
    errors = [located(TemplateError(item.brief, hint=item.hint), where.value(item.trail)) for item in found]
    raise as_one(errors, TemplatesError)


def problems(pipeline: Mapping[str, Any], programs: Programs) -> Iterator[Problem]:
    """All mistakes of the pipeline's stages and assemblers, in their order."""
    for trail, item in _programs(pipeline, ()):
        kind = Kind.ASSEMBLER if trail[-1] == "assembler" else Kind.STAGE
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
            yield Problem((*trail, key), f"{program.name}: unknown key `{key}` beside `name` and `options`")
    hint = f"what it takes: compose stages show {program.name}"
    validator = _validator(json.dumps(program.schema, sort_keys=True))
    for error in sorted(validator.iter_errors(item.get("options", {})), key=lambda e: [str(step) for step in e.path]):
        for place, brief, better in _explain(error):
            yield Problem((*trail, "options", *place), f"{program.name}: {brief}", better or hint)


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft7Validator  # noqa: PLC0415 - slow to import
    from jsonschema.validators import validator_for  # noqa: PLC0415

    loaded = json.loads(schema)
    return validator_for(loaded, default=Draft7Validator)(loaded)


def _explain(error: Any) -> Iterator[tuple[Trail, str, str]]:
    """The place below the options, what is wrong there, and a better hint than where to read on."""
    if error.validator in ("oneOf", "anyOf") and error.context:
        deepest = max(error.context, key=lambda inner: len(inner.absolute_path))
        if len(deepest.absolute_path) > len(error.absolute_path):
            yield from _explain(deepest)
            return
    place = tuple(error.absolute_path)
    what = "options" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        patterns = error.schema.get("patternProperties", {})
        for key in error.instance:
            if key not in known and not any(re.search(pattern, key) for pattern in patterns):
                yield (*place, key), f"`{what}` has the unknown key `{key}`", did_you_mean(key, known)
    elif error.validator == "required":
        missing = next(key for key in error.validator_value if error.message.startswith(repr(key)))
        yield place, f"`{what}` lacks the key `{missing}`", ""
    else:
        yield place, f"`{what}` is {_shown(error.instance)}, {_wanted(error)}", ""


def _wanted(error: Any) -> str:
    """What the schema wants instead."""
    value = error.validator_value
    match error.validator:
        case "type":
            return f"which is not of the type {value if isinstance(value, str) else ' or '.join(value)}"
        case "enum":
            return f"and can be {', '.join(json.dumps(choice) for choice in value)}"
        case "pattern":
            return f"which does not match {value}"
        case "oneOf" | "anyOf" | "not":
            return "which has not one of the forms that are allowed there"
    return f"and {error.validator} is {_shown(value)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."
