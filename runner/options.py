"""Checking a step's options against the schema in its program's meta.json, before anything runs."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from runner.errors import RunnerError, environment_error, input_error
from runner.steps import Action

MAX_TOLD = 20
WORDS = ("enum", "const")  # keywords of a schema that tell the forms of a value apart


def check(actions: Iterable[Action]) -> None:
    """Check the options of the steps that are going to run. Raises RunnerError (input) with all mistakes at once."""
    problems: list[tuple[str, str]] = []
    for action in actions:
        call = action.step.call
        found = _problems(action.step.program.schema, dict(call.options))
        problems += [(call.name, f"{call.path}: {call.name}: {text}") for text in found]
    if problems:
        raise input_error(
            problems[0][1] if len(problems) == 1 else f"{len(problems)} mistakes in the options of stages",
            details=[] if len(problems) == 1 else [text for _, text in problems[:MAX_TOLD]],
            hint=f"the schema of the options is in {problems[0][0]}.meta.json",
        )


def _problems(schema: Any, options: dict[str, Any]) -> list[str]:
    validator = _validator(schema)
    return [_explain(error) for error in sorted(validator.iter_errors(options), key=lambda e: list(map(str, e.path)))]


def _validator(schema: Any) -> Any:
    try:
        import jsonschema  # noqa: PLC0415 - slow to import, and not needed when everything is cached
    except ImportError:
        raise _missing_jsonschema() from None
    return jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)(schema)


def _missing_jsonschema() -> RunnerError:
    return environment_error(
        "this Python has no jsonschema, which checks the options of stages",
        hint="run `.venv/bin/python -m runner`, or install python3-jsonschema",
    )


def _path(error: Any) -> str:
    return "options" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)


def _explain(error: Any) -> str:
    """One line for one mistake: the option's path, what is wrong, and the nearest valid key."""
    path = _path(error)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        near = get_close_matches(unknown[0], known, 1) if unknown else []
        return f"{path}: unknown key {unknown[0]!r}" + (f" (did you mean `{near[0]}`?)" if near else "")
    if error.validator in ("oneOf", "anyOf") and error.context:
        return _explain_forms(error.context)
    message = error.message if len(error.message) <= 200 else error.message[:200] + " ..."
    return f"{path}: {message}"


def _explain_forms(mistakes: Sequence[Any]) -> str:
    """The mistake in the form that is meant, of several that a value may have; `mistakes` are those of all forms.

    The form that is meant is one whose fixed words, such as a format's name, are those of the value.
    """
    forms: dict[Any, list[Any]] = {}
    for mistake in mistakes:
        forms.setdefault(mistake.schema_path[0], []).append(mistake)
    meant = [form for form in forms.values() if not any(mistake.validator in WORDS for mistake in form)]
    if meant:
        return _explain(max(meant[0], key=lambda sub: len(sub.absolute_path)))
    deepest = max(mistakes, key=lambda sub: len(sub.absolute_path))
    words = [sub for sub in mistakes if sub.validator == "enum" and sub.absolute_path == deepest.absolute_path]
    if not words:
        return _explain(deepest)
    choices = list(dict.fromkeys(str(choice) for word in words for choice in word.validator_value))
    near = get_close_matches(str(words[0].instance), choices, 1)
    hint = f" (did you mean `{near[0]}`?)" if near else ""
    return f"{_path(words[0])}: {words[0].instance!r} is none of {', '.join(choices)}{hint}"
