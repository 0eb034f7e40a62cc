"""Checks YAML documents against the published schemas.

The schemas have keywords of our own in addition to those of JSON Schema:

* `patternErrorMessage`: the end of the message if a text does not match its pattern; `errorMessage`: the message if
  none or several of `oneOf` match, or if `not` does; `keyErrorMessage`: the end of the message if a key matches none of
  `patternProperties`;
* `choiceHint`: a hint for a value that is not similar to any in `enum`;
* `requiredOnceMerged`: like `required`, but for merged documents only;
* `identity` and `localPath`: see schema_view.py.
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

VARIABLE = re.compile(r"\$\{")  # a text with a variable, whose value is not known yet
_COMPLETENESS = ("required", "requiredOnceMerged", "oneOf", "anyOf", "not", "dependencies")
_FILES = {"blueprint": "blueprint.whole.schema.json"}  # blueprint.schema.json, for editors, is generated from it
_OF_VALUES = ("type", "enum", "pattern", "minLength", "maxLength")


def problems(document: Document, schema: str) -> list[Problem]:
    """All problems of the document by the schema of that name ("blueprint"), in no particular order."""
    return _explained(document, _validator(schema), schema)


def is_valid(data: Any, schema: str) -> bool:
    """Whether `problems` would find nothing wrong with a document that has this data."""
    return bool(_validator(schema).is_valid(data))


def problems_of_part(document: Document, schema: str) -> list[Problem]:
    """The same for a part of a document, before merging: it may be incomplete, have operators in place of lists, and
    texts with variables are not checked.
    """
    return _explained(document, _part_validator(schema), schema)


def _explained(document: Document, validator: Any, schema: str) -> list[Problem]:
    reference = partial(doc_links.schema_page, schema)
    return [
        problem.located(document)
        for error in validator.iter_errors(document.data)
        for problem in schema_errors.explain(error, document.tree, reference, load(schema))
    ]


@cache
def load(name: str) -> dict[str, Any]:
    """The schema `name` for merged documents."""
    path = data.directory("schemas") / _FILES.get(name, f"{name}.schema.json")
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@cache
def published(name: str) -> dict[str, Any]:
    """The schema `name` for editors: it allows everything that is valid in a file before merging."""
    return with_changes(load(name))


@cache
def _validator(name: str) -> Any:
    return _Full(_without_dialect(load(name)))


@cache
def _part_validator(name: str) -> Any:
    return _Part(_without_dialect(published(name)))


def _without_dialect(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without its `$schema`, for which jsonschema would use its own validator where the schema refers to
    itself.
    """
    return {key: value for key, value in schema.items() if key != "$schema"}


def _pattern(_validator: Any, pattern: str, instance: object, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not schema_errors.matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _unique_items(_validator: Any, wanted: bool, instance: object, _schema: Any) -> Iterator[ValidationError]:
    # jsonschema compares mappings with each other, which takes minutes for thousands of files or users.
    if wanted and isinstance(instance, list):
        texts = {json.dumps(item, sort_keys=True) for item in instance}
        if len(texts) < len(instance):
            yield ValidationError("an item is repeated")


def _nothing(*_arguments: Any) -> Iterator[ValidationError]:
    yield from ()


def _unless_variable(check: Any) -> Any:
    def checked(validator: Any, wanted: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
        if not (isinstance(instance, str) and VARIABLE.search(instance)):
            yield from check(validator, wanted, instance, schema) or ()

    return checked


def _if(validator: Any, condition: Any, instance: object, schema: Any) -> Iterator[ValidationError]:
    # The condition is checked as in a merged document. Our conditions do not refer to definitions.
    branch = "then" if _Full(condition).is_valid(instance) else "else"
    if branch in schema:
        yield from validator.descend(instance, schema[branch], schema_path=branch)


# In JSON Schema 1.0 is an integer; the readers of our output do not agree.
_types = Draft7Validator.TYPE_CHECKER.redefine(
    "integer", lambda _checker, value: isinstance(value, int) and not isinstance(value, bool)
)
_known = Draft7Validator.VALIDATORS
_Full: Any = extend(  # type: ignore[no-untyped-call]
    Draft7Validator,
    {"pattern": _pattern, "requiredOnceMerged": _known["required"], "uniqueItems": _unique_items},
    type_checker=_types,
)
_Part: Any = extend(  # type: ignore[no-untyped-call]
    _Full,
    {
        **dict.fromkeys(_COMPLETENESS, _nothing),
        **{name: _unless_variable({**_known, "pattern": _pattern}[name]) for name in _OF_VALUES},
        "if": _if,
    },
)
