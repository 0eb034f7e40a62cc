"""Checking a YAML document against one of the published schemas, with messages for people.

A schema may carry keywords that JSON Schema does not know, editors partly do: `patternErrorMessage`, the end of the
sentence when a text does not match its pattern, `errorMessage`, the sentence when none or several of `oneOf` match or
`not` does, and `keyErrorMessage`, the end of the sentence when a key matches none of `patternProperties`.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from jsonschema import Draft7Validator, ValidationError
from jsonschema.validators import extend

from osbuild_compose import data
from osbuild_compose.document.read import Document
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError, Location

_KINDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}
MAX_SHOWN = 60  # characters of a value that a message repeats


def problems(document: Document, schema: str) -> list[InputError]:
    """All that is wrong with the document by the schema of that name ("blueprint"), in no particular order."""
    found = _validator(schema).iter_errors(document.data)
    return [problem for error in found for problem in _explain(_Finding(error, document))]


@cache
def load(name: str) -> dict[str, Any]:
    """The published schema `name`."""
    path = data.directory("schemas") / f"{name}.schema.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@cache
def _validator(name: str) -> Any:
    validator: Any = extend(Draft7Validator, {"pattern": _whole_pattern})  # type: ignore[no-untyped-call]
    return validator(load(name))


def _whole_pattern(_validator: Any, pattern: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _matches(pattern: str, text: str) -> bool:
    # In Python a final $ lets a newline through, which JSON Schema's does not.
    return re.search(re.sub(r"\$$", r"\\Z", pattern), text) is not None


class _Finding:
    """One of jsonschema's errors, with what messages need to know of it."""

    def __init__(self, error: ValidationError, document: Document) -> None:
        self.kind = str(error.validator)
        self.wanted: Any = error.validator_value
        self.instance: Any = error.instance
        self.schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
        self.text = error.message
        self.trail = list(error.absolute_path)
        self.document = document

    @property
    def what(self) -> str:
        """What a message calls the value: its nearest key."""
        names = [step for step in self.trail if isinstance(step, str)]
        if not names:
            return "the document"
        return f"an item of `{names[-1]}`" if isinstance(self.trail[-1], int) else f"`{names[-1]}`"

    @property
    def place(self) -> Location:
        return self.document.at_value(self.trail)

    @property
    def owner(self) -> Location:
        """The place of the key rather than of its value."""
        return self.document.at_key(self.trail)


def _explain(finding: _Finding) -> Iterator[InputError]:
    explain = _EXPLANATIONS.get(finding.kind)
    if explain is None:
        yield InputError(finding.schema.get("errorMessage", finding.text), location=finding.owner)
    else:
        yield from explain(finding)


def _unknown_keys(finding: _Finding) -> Iterator[InputError]:
    known = finding.schema.get("properties", {})
    patterns = finding.schema.get("patternProperties", {})
    for key in finding.instance:
        if key not in known and not any(_matches(pattern, key) for pattern in patterns):
            place = finding.document.at_key([*finding.trail, key])
            brief = f"`{key}` {finding.schema['keyErrorMessage']}" if patterns else f"unknown key `{key}`"
            yield InputError(brief, hint=did_you_mean(key, known), location=place)


def _missing_key(finding: _Finding) -> Iterator[InputError]:
    # jsonschema makes one error for each missing key, which its message begins with.
    for key in finding.wanted:
        if finding.text.startswith(repr(key)):
            examples = finding.schema.get("properties", {}).get(key, {}).get("examples", [])
            hint = f"for example: {key}: {_flow(examples[0])}" if examples else ""
            yield InputError(f"{finding.what} lacks the key `{key}`", hint=hint, location=finding.place)


def _wrong_type(finding: _Finding) -> Iterator[InputError]:
    wanted = finding.wanted if isinstance(finding.wanted, list) else [finding.wanted]
    kinds = " or ".join(_KINDS[kind] for kind in wanted)
    yield InputError(
        f"{finding.what} must be {kinds}, not {_kind_of(finding.instance)}",
        hint=_type_hint(wanted, finding.instance, finding.schema.get("examples", [])),
        location=finding.place,
    )


def _not_a_choice(finding: _Finding) -> Iterator[InputError]:
    choices = [choice if isinstance(choice, str) else json.dumps(choice) for choice in finding.wanted]
    hint = did_you_mean(str(finding.instance), choices)
    yield InputError(
        f"{finding.what} cannot be {_shown(finding.instance)}; it is one of: {', '.join(choices)}",
        hint=hint if hint.startswith("did") else "",
        location=finding.place,
    )


def _wrong_text(finding: _Finding) -> Iterator[InputError]:
    message = finding.schema.get("patternErrorMessage", f"does not match {finding.wanted}")
    yield InputError(f"{finding.what}: {_shown(finding.instance)} {message}", location=finding.place)


def _repeated(finding: _Finding) -> Iterator[InputError]:
    seen: set[str] = set()
    for index, item in enumerate(finding.instance):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            place = finding.document.at_value([*finding.trail, index])
            yield InputError(f"{finding.what} has {_shown(item)} twice", location=place)
        seen.add(text)


def _empty(finding: _Finding) -> Iterator[InputError]:
    yield InputError(f"{finding.what} must not be empty", location=finding.place)


def _out_of_range(finding: _Finding) -> Iterator[InputError]:
    edge = "less" if finding.kind == "minimum" else "more"
    yield InputError(f"{finding.what} must not be {edge} than {finding.wanted}", location=finding.place)


_EXPLANATIONS: dict[str, Callable[[_Finding], Iterator[InputError]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_key,
    "type": _wrong_type,
    "enum": _not_a_choice,
    "pattern": _wrong_text,
    "uniqueItems": _repeated,
    "minItems": _empty,
    "minLength": _empty,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
}


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number"}
    return kinds.get(type(value), "empty")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _plainly(value: object) -> str:
    """The value as one writes it in YAML, where that needs no quotes."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) else _shown(value)


def _flow(value: object) -> str:
    """The value as one writes it in YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _plainly(value)


def _type_hint(wanted: list[str], value: object, examples: list[object]) -> str:
    if "string" in wanted and isinstance(value, bool | int | float):
        strings = [example for example in examples if isinstance(example, str)]
        return f"write it in quotes, for example: {_shown(strings[0])}" if strings else "write it in quotes"
    if "array" in wanted and isinstance(value, str) and "\n" not in value and len(value) < MAX_SHOWN:
        return f"write it in brackets: [{value}]"
    return f"for example: {_flow(examples[0])}" if examples else ""
