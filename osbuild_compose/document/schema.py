"""Checking a YAML document against one of the published schemas, with messages for people.

A schema may carry two keywords that JSON Schema does not know and editors do: `patternErrorMessage`, the end of the
sentence when a text does not match its pattern, and `errorMessage`, the sentence when none or several of `oneOf` match.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from osbuild_compose import data
from osbuild_compose.document.read import Document
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError

_KINDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


def problems(document: Document, schema: str) -> list[InputError]:
    """All that is wrong with the document by the schema of that name ("blueprint"), in no particular order."""
    found = _validator(schema).iter_errors(document.data)
    return [problem for error in found for problem in _explain(error, document)]


@cache
def load(name: str) -> dict[str, Any]:
    """The published schema `name`."""
    path = data.directory("schemas") / f"{name}.schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@cache
def _validator(name: str) -> Any:
    return extend(Draft7Validator, {"pattern": _pattern})(load(name))


def _pattern(_validator: Any, pattern: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
    # In Python a final $ lets a newline through, which JSON Schema's does not.
    whole = re.sub(r"\$$", r"\\Z", pattern)
    if isinstance(instance, str) and not re.search(whole, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _explain(error: ValidationError, document: Document) -> Iterator[InputError]:
    trail = list(error.absolute_path)
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    what = _called(trail)
    match error.validator:
        case "additionalProperties":
            known = schema.get("properties", {})
            for key in error.instance:
                if key not in known:
                    hint = did_you_mean(key, set(known) - set(error.instance))
                    yield InputError(f"unknown key `{key}`", hint=hint, location=document.at_key([*trail, key]))
        case "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            # jsonschema reports one error for each missing key; each names itself in its message.
            for key in missing:
                if error.message.startswith(repr(key)):
                    yield InputError(
                        f"{what} lacks the key `{key}`", hint=_hint(schema, key), location=_owner(document, trail)
                    )
        case "type":
            wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
            kinds = " or ".join(_KINDS[kind] for kind in wanted)
            yield InputError(
                f"{what} must be {kinds}, not {_kind(error.instance)}",
                hint=_type_hint(wanted, error.instance, schema),
                location=document.at_value(trail),
            )
        case "enum":
            choices = [str(choice) for choice in error.validator_value]
            yield InputError(
                f"{what} cannot be {_shown(error.instance)}; it is one of: {', '.join(choices)}",
                hint=_close(error.instance, choices),
                location=document.at_value(trail),
            )
        case "pattern":
            message = schema.get("patternErrorMessage", f"does not match {schema.get('pattern')}")
            yield InputError(f"{what}: {_shown(error.instance)} {message}", location=document.at_value(trail))
        case "uniqueItems":
            yield from _repeated(error.instance, trail, document)
        case "minItems" | "minLength":
            yield InputError(f"{what} must not be empty", location=document.at_value(trail))
        case "minimum" | "maximum":
            edge = "less" if error.validator == "minimum" else "more"
            yield InputError(
                f"{what} must not be {edge} than {error.validator_value}", location=document.at_value(trail)
            )
        case _:
            message = schema.get("errorMessage", error.message)
            yield InputError(message, location=_owner(document, trail))


def _called(trail: list[str | int]) -> str:
    """How a place is called in a message: its nearest key."""
    names = [step for step in trail if isinstance(step, str)]
    if not names:
        return "the document"
    return f"an item of `{names[-1]}`" if trail and isinstance(trail[-1], int) else f"`{names[-1]}`"


def _owner(document: Document, trail: list[str | int]) -> Any:
    return document.at_key(trail) if trail and isinstance(trail[-1], str) else document.at_value(trail)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number"}
    return kinds.get(type(value), "empty")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + '..."'


def _hint(schema: dict[str, Any], key: str) -> str:
    examples = schema.get("properties", {}).get(key, {}).get("examples", [])
    return f"for example: {key}: {_shown(examples[0])}" if examples else ""


def _type_hint(wanted: list[str], value: object, schema: dict[str, Any]) -> str:
    if "string" in wanted and isinstance(value, bool | int | float):
        return f"write it in quotes{_example(schema)}"
    if "array" in wanted and isinstance(value, str):
        return f"write it in brackets: [{value}]" if len(value) < 60 and "\n" not in value else ""
    return _example(schema).removeprefix(", ")


def _example(schema: dict[str, Any]) -> str:
    examples = schema.get("examples", [])
    return f", for example: {_shown(examples[0])}" if examples else ""


def _close(value: object, choices: list[str]) -> str:
    hint = did_you_mean(str(value), choices)
    return hint if hint.startswith("did") else ""


def _repeated(items: list[Any], trail: list[str | int], document: Document) -> Iterator[InputError]:
    seen: list[str] = []
    for index, item in enumerate(items):
        shown = json.dumps(item, sort_keys=True)
        if shown in seen:
            yield InputError(f"{_called(trail)} has {_shown(item)} twice", location=document.at_value([*trail, index]))
        seen.append(shown)
