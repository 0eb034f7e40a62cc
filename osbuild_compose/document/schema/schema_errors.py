"""What jsonschema finds, in words for people."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jsonschema import ValidationError

from osbuild_compose.document.composition.list_operators import OPERATORS, is_list
from osbuild_compose.document.node import Node, path_text
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema.misplaced_keys import home
from osbuild_compose.document.suggest import FOREIGN, called_so, did_you_mean, nearest
from osbuild_compose.errors import InputError, Location

MAX_SHOWN = 60  # characters of a value that a message repeats

_KINDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}
_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


Reference = Callable[[Sequence[str | int]], str]


def explain(
    error: ValidationError, document: Document, reference: Reference, schema: Mapping[str, Any]
) -> list[InputError]:
    """The errors for people that one of jsonschema's stands for.

    reference is the page on what is at a trail, schema that of the whole document.
    """
    finding = _Finding(error, document, reference, schema)
    known = _EXPLANATIONS.get(finding.kind)
    if known is None and finding.schema.get("type") == "object" and not isinstance(finding.instance, dict):
        return []  # that it is no mapping is told already
    if known is _empty and isinstance(finding.instance, dict) and is_list(dict(finding.schema)):
        return []  # that it is no list is told already
    if known is None:
        return [finding.wrong(finding.schema.get("errorMessage", finding.text), place=finding.owner)]
    return list(known(finding))


def matches(pattern: str, text: str) -> bool:
    """Whether the text has the pattern in it, as JSON Schema means it."""
    # In Python a final $ lets a newline through, which JSON Schema's does not.
    return re.search(re.sub(r"\$$", r"\\Z", pattern), text) is not None


class _Finding:
    """One of jsonschema's errors, with what messages need to know of it."""

    def __init__(
        self, error: ValidationError, document: Document, reference: Reference, whole: Mapping[str, Any]
    ) -> None:
        self.kind = str(error.validator)
        self.wanted: Any = error.validator_value
        self.instance: Any = error.instance
        self.schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
        self.text = error.message
        self.trail = list(error.absolute_path)
        self.document = document
        self.reference = reference
        self.whole = whole

    @property
    def what(self) -> str:
        """What a message calls the value: its nearest key."""
        names = [step for step in self.trail if isinstance(step, str)]
        if not names:
            return "the document"
        return f"an item of `{names[-1]}`" if isinstance(self.trail[-1], int) else f"`{names[-1]}`"

    @property
    def node(self) -> Node:
        return self.document.find(self.trail)[0]

    @property
    def owner(self) -> Location:
        """The place of the key rather than of its value."""
        return self.document.at_key(self.trail)

    def wrong(
        self,
        brief: str,
        *,
        hint: str = "",
        expected: str = "",
        suggestion: str = "",
        below: str = "",
        place: Location | None = None,
    ) -> InputError:
        """The error, at `place` or else at the value, or at the key `below` it."""
        trail = [*self.trail, below] if below else self.trail
        of_whole = not self.trail or (self.trail[0] == "profiles" and len(self.trail) == 2)
        known = not of_whole or not below or below in self.schema.get("properties", {})
        return InputError(
            brief,
            hint=hint,
            expected=expected,
            suggestion=suggestion,
            location=place or self.document.at_value(self.trail),
            path=path_text(trail),
            reference=self.reference(trail if known else []),
        )


def _unknown_keys(finding: _Finding) -> Iterator[InputError]:
    known = finding.schema.get("properties", {})
    if known.keys() == set(OPERATORS) and not known.keys() & finding.instance.keys():
        hint = f"items of a list begin with a dash; a change of an inherited list has {', '.join(OPERATORS)}"
        yield finding.wrong(f"{finding.what} must be a list, not a mapping", hint=hint, expected="a list")
        return
    patterns = finding.schema.get("patternProperties", {})
    for key in finding.instance:
        if key in known or any(matches(pattern, key) for pattern in patterns):
            continue
        usable = [name for name, value in known.items() if "not" not in value]
        brief = f"unknown key `{key}`"
        if patterns:
            brief = f"`{key}` {finding.schema.get('keyErrorMessage', 'is not a name')}"
        elsewhere = "" if patterns or called_so(key, usable) else home(finding.whole, key, finding.trail)
        suggestion = "" if elsewhere else nearest(key, usable) or ""
        yield finding.wrong(
            brief,
            hint=elsewhere or FOREIGN.get(key, "") or did_you_mean(key, usable),
            expected=f"one of: {', '.join(sorted(usable))}" if usable else "",
            suggestion=suggestion,
            below=key,
            place=finding.document.at_key([*finding.trail, key]),
        )


def _wrong_name(finding: _Finding) -> Iterator[InputError]:
    # The instance is the key itself; what it is a key of is at the trail.
    message = finding.schema.get("patternErrorMessage", f"does not match {finding.wanted}")
    place = finding.document.at_key([*finding.trail, finding.instance])
    yield finding.wrong(f"`{finding.instance}` {message}", below=str(finding.instance), place=place)


def _missing_key(finding: _Finding) -> Iterator[InputError]:
    # jsonschema makes one error for each missing key, which its message begins with.
    for key in finding.wanted:
        if finding.text.startswith(repr(key)):
            examples = finding.schema.get("properties", {}).get(key, {}).get("examples", [])
            hint = f"for example: {key}: {flow(examples[0])}" if examples else ""
            yield finding.wrong(
                f"{finding.what} lacks the key `{key}`", hint=hint, expected=f"the key {key}", below=key
            )


def _missing_beside(finding: _Finding) -> Iterator[InputError]:
    chosen = {key for choice in finding.schema.get("oneOf", ()) for key in choice.get("required", ())}
    if not chosen & finding.wanted.keys() & finding.instance.keys():
        yield finding.wrong(finding.schema.get("errorMessage", finding.text), place=finding.owner)
        return
    for key, needed in finding.wanted.items():
        for other in needed if key in finding.instance else ():
            if other not in finding.instance:
                examples = finding.schema.get("properties", {}).get(other, {}).get("examples", [])
                hint = f"for example: {other}: {flow(examples[0])}" if examples else ""
                yield finding.wrong(f"{finding.what} has `{key}` without `{other}`", hint=hint, below=other)


def _wrong_type(finding: _Finding) -> Iterator[InputError]:
    if "enum" in finding.schema:
        return  # that it is none of these is told
    if finding.schema.get("properties", {}).keys() == set(OPERATORS):
        return  # that it is no list is told
    wanted = finding.wanted if isinstance(finding.wanted, list) else [finding.wanted]
    if is_list(dict(finding.schema)):
        wanted = ["array"]
    kinds = " or ".join(_KINDS[kind] for kind in wanted)
    suggestion = _meant(wanted, finding.node, finding.schema.get("examples", []))
    if not matches(finding.schema.get("pattern", ""), finding.node.written):
        suggestion = ""
    yield finding.wrong(
        f"{finding.what} must be {kinds}, not {_kind_of(finding.instance)}",
        hint=_type_hint(wanted, finding.node, suggestion, finding.schema),
        expected=kinds,
        suggestion=suggestion,
    )


def _not_a_choice(finding: _Finding) -> Iterator[InputError]:
    choices = [choice if isinstance(choice, str) else json.dumps(choice) for choice in finding.wanted]
    meant = _TRUTH.get(str(finding.instance).lower())
    suggestion = meant if meant in choices else nearest(str(finding.instance), choices)
    yield finding.wrong(
        f"{finding.what} cannot be {_shown(finding.instance)}; it is one of: {', '.join(choices)}",
        hint=f"did you mean `{suggestion}`?" if suggestion else finding.schema.get("choiceHint", ""),
        expected=f"one of: {', '.join(choices)}",
        suggestion=suggestion or "",
    )


def _wrong_text(finding: _Finding) -> Iterator[InputError]:
    if finding.document.find([*finding.trail, finding.instance])[1]:
        yield from _wrong_name(finding)
        return
    message = finding.schema.get("patternErrorMessage", f"does not match {finding.wanted}")
    yield finding.wrong(
        f"{finding.what}: {_shown(finding.instance)} {message}", expected=f"text that matches {finding.wanted}"
    )


def _repeated(finding: _Finding) -> Iterator[InputError]:
    seen: set[str] = set()
    for index, item in enumerate(finding.instance):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            place = finding.document.at_value([*finding.trail, index])
            yield finding.wrong(f"{finding.what} has {_shown(item)} twice", hint="remove one of them", place=place)
        seen.add(text)


def _empty(finding: _Finding) -> Iterator[InputError]:
    yield finding.wrong(f"{finding.what} must not be empty", hint="remove the key, or write a value")


def _out_of_range(finding: _Finding) -> Iterator[InputError]:
    edge = "less" if finding.kind == "minimum" else "more"
    words = {"minimum": "at least", "maximum": "at most"}
    bounds = [f"{word} {finding.schema[key]}" for key, word in words.items() if key in finding.schema]
    yield finding.wrong(f"{finding.what} must not be {edge} than {finding.wanted}", expected=" and ".join(bounds))


_EXPLANATIONS: dict[str, Callable[[_Finding], Iterator[InputError]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_key,
    "requiredOnceMerged": _missing_key,
    "dependencies": _missing_beside,
    "type": _wrong_type,
    "enum": _not_a_choice,
    "pattern": _wrong_text,
    "uniqueItems": _repeated,
    "minItems": _empty,
    "minLength": _empty,
    "minProperties": _empty,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
}


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a fraction"}
    return kinds.get(type(value), "empty")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _plainly(value: object) -> str:
    """The value as one writes it in YAML, where that needs no quotes."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) else _shown(value)


def flow(value: object) -> str:
    """The value as one writes it in YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return _plainly(value)


def _meant(wanted: list[str], node: Node, examples: list[Any]) -> str:
    """What to write instead of a value of the wrong type, where that is clear; as YAML."""
    value, written = node.value, node.written
    if len(written) > MAX_SHOWN or "\n" in written or written == "":
        return ""
    if "string" in wanted and isinstance(value, bool | int | float):
        # A switch that may be a number is one, as those of the kernel are.
        return str(int(value)) if isinstance(value, bool) and "integer" in wanted else json.dumps(written)
    if "boolean" in wanted and isinstance(value, str):
        return {**_TRUTH, "true": "true", "false": "false"}.get(value.lower(), "")
    if "integer" in wanted and re.fullmatch(r"-?\d{1,18}(\.0*)?", written, re.ASCII):
        return written.partition(".")[0]
    is_item = "array" in wanted and isinstance(value, str) and not set(written) & set("[]{}:#") and written[0] != "-"
    of_numbers = wanted == ["array"] and bool(examples) and isinstance(examples[0], list) and examples[0][:1] != []
    is_item = is_item or (of_numbers and type(value) is int and isinstance(examples[0][0], int))
    return f"[{written}]" if is_item else ""


def _type_hint(wanted: list[str], node: Node, suggestion: str, schema: Mapping[str, Any]) -> str:
    examples = schema.get("examples", [])
    if suggestion:
        how = "in quotes" if suggestion.startswith('"') else "in brackets" if wanted == ["array"] else "as"
        return f"write it {how}: {suggestion}"
    if node.value is None and node.written:
        return "remove the key; `unset` is for one that is inherited"
    if "string" in wanted and isinstance(node.value, bool | int | float):
        texts = [example for example in examples if isinstance(example, str)]
        return f"write it in quotes, for example: {json.dumps(texts[0])}" if texts else "write it in quotes"
    if found := _slip(wanted, node, schema):
        return found
    return f"for example: {flow(examples[0])}" if examples else ""


def _slip(wanted: list[str], node: Node, schema: Mapping[str, Any]) -> str:
    """What to do about something that was nearly written right; "" if it is nothing of the kind."""
    text = node.value if isinstance(node.value, str) else ""
    if "array" in wanted and re.match(r"-[^\s-]", text):
        return "a space belongs after each dash"
    key = re.match(r"(\w+):\S", text)
    if wanted == ["object"] and key and key[1] in schema.get("properties", {}):
        return "a space belongs after the colon"
    name = node.value.get("name") if isinstance(node.value, dict) else None
    return f"write the name alone: {flow(name.value)}" if name and wanted == ["string"] else ""
