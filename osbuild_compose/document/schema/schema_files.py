"""Checking a YAML document against one of the published schemas.

A schema may carry keywords that JSON Schema does not know:

* `patternErrorMessage`, the end of the sentence when a text does not match its pattern; `errorMessage`, the sentence
  when none or several of `oneOf` match or `not` does; `keyErrorMessage`, the end of the sentence when a key matches
  none of `patternProperties`;
* `choiceHint`, what to do about a value that is none of `enum` and near none;
* `requiredOnceMerged`: like `required`, of a document with all that it extends;
* `identity` and `beside`: see shape.py.
"""

import json
import re
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from jsonschema import Draft7Validator, ValidationError
from jsonschema.validators import extend

from osbuild_compose import data
from osbuild_compose.document import doc_links
from osbuild_compose.document.composition.list_operators import with_changes
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_errors
from osbuild_compose.problem import Problem

VARIABLE = re.compile(r"\$\{")  # a text that may become anything once its variables are filled in
_COMPLETENESS = ("required", "requiredOnceMerged", "oneOf", "anyOf", "not", "dependencies")
_FILES = {"blueprint": "blueprint.whole.schema.json"}  # from which blueprint.schema.json is made, for editors
_OF_VALUES = ("type", "enum", "pattern", "minLength", "maxLength")


def problems(document: Document, schema: str) -> list[Problem]:
    """All that is wrong with the document by the schema of that name ("blueprint"), in no particular order."""
    return _explained(document, _validator(schema), schema)


def problems_of_part(document: Document, schema: str) -> list[Problem]:
    """The same for a document that others complete and change: nothing is missing in it, lists may be changes of lists,
    and texts with variables are anything.
    """
    return _explained(document, _part_validator(schema), schema)


def _explained(document: Document, validator: Any, schema: str) -> list[Problem]:
    reference = partial(doc_links.of_schema, schema)
    return [
        problem.located(document)
        for error in validator.iter_errors(document.data)
        for problem in schema_errors.explain(error, document.tree, reference, load(schema))
    ]


@cache
def load(name: str) -> dict[str, Any]:
    """The schema `name` of a document that is whole."""
    path = data.directory("schemas") / _FILES.get(name, f"{name}.schema.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@cache
def published(name: str) -> dict[str, Any]:
    """The schema for editors: with all forms that a file may have before it is merged with others."""
    return with_changes(load(name))


@cache
def _validator(name: str) -> Any:
    return _Full(_undialected(load(name)))


@cache
def _part_validator(name: str) -> Any:
    return _Part(_undialected(published(name)))


def _undialected(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without its `$schema`: where a schema refers to itself, jsonschema takes the validator of that name
    instead of ours.
    """
    return {key: value for key, value in schema.items() if key != "$schema"}


def _pattern(_validator: Any, pattern: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not schema_errors.matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _nothing(*_arguments: Any) -> Iterator[ValidationError]:
    yield from ()


def _unless_variable(check: Any) -> Any:
    def checked(validator: Any, wanted: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
        if not (isinstance(instance, str) and VARIABLE.search(instance)):
            yield from check(validator, wanted, instance, schema) or ()

    return checked


def _if(validator: Any, condition: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
    # Whether the condition holds is a question of what is there; our conditions refer to no definitions.
    branch = "then" if _Full(condition).is_valid(instance) else "else"
    if branch in schema:
        yield from validator.descend(instance, schema[branch], schema_path=branch)


# JSON Schema takes 1.0 for an integer; what reads our numbers later does not.
_types = Draft7Validator.TYPE_CHECKER.redefine(
    "integer", lambda _checker, value: isinstance(value, int) and not isinstance(value, bool)
)
_known = Draft7Validator.VALIDATORS
_Full: Any = extend(  # type: ignore[no-untyped-call]
    Draft7Validator, {"pattern": _pattern, "requiredOnceMerged": _known["required"]}, type_checker=_types
)
_Part: Any = extend(  # type: ignore[no-untyped-call]
    _Full,
    {
        **dict.fromkeys(_COMPLETENESS, _nothing),
        **{name: _unless_variable({**_known, "pattern": _pattern}[name]) for name in _OF_VALUES},
        "if": _if,
    },
)
