"""Checks the options of steps against the schemas in the meta.json of their programs, before anything runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from runner.errors import RunnerError, environment_error, input_error
from runner.steps import Action

MAX_SHOWN = 20
FILE_NAMES = ("filename", "path")  # options of this name are those of files
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes: limits.h(0p), NAME_MAX and PATH_MAX
NO_NEWLINE = r"(?!\n)"
DISCRIMINATORS = ("enum", "const")  # the keywords of a schema that distinguish the alternatives of oneOf and anyOf


def check(actions: Iterable[Action]) -> None:
    """Check the options of the steps that are going to run. Raises RunnerError (input) with all mistakes."""
    problems: list[tuple[str, str]] = []
    for action in actions:
        call = action.step.call
        found = [*_problems(action.step.program.schema, dict(call.options)), *_long_names(call.options, "options")]
        problems += [(call.name, f"{call.path}: {call.name}: {text}") for text in found]
    if problems:
        raise input_error(
            problems[0][1] if len(problems) == 1 else f"{len(problems)} mistakes in the options of stages",
            details=[] if len(problems) == 1 else [text for _, text in problems[:MAX_SHOWN]],
            hint=f"the schema of the options is in {problems[0][0]}.meta.json",
        )


def _problems(schema: Any, options: dict[str, Any]) -> list[str]:
    if schema == {}:
        return []  # anything is right: importing jsonschema for it would take longer than the rest of the check
    validator = _validator(schema)
    return [_explain(error) for error in sorted(validator.iter_errors(options), key=lambda e: list(map(str, e.path)))]


def _long_names(value: Any, path: str) -> Iterator[str]:
    """The names of files and paths that no file system can hold."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in FILE_NAMES and isinstance(item, str) and _is_too_long(item.encode()):
                yield f"{path}.{key}: {item[:20]}... is too long for a file system"
            yield from _long_names(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _long_names(item, f"{path}[{number}]")


def _is_too_long(path: bytes) -> bool:
    return len(path) > LONGEST_PATH or any(len(name) > LONGEST_NAME for name in path.split(b"/"))


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
    """One mistake in one line: the option's path, what is wrong, and the nearest valid key."""
    path = _path(error)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        near = get_close_matches(unknown[0], known, 1) if unknown else []
        return f"{path}: unknown key {unknown[0]!r}" + (f" (did you mean `{near[0]}`?)" if near else "")
    if error.validator in ("oneOf", "anyOf") and error.context:
        return _explain_alternatives(error.context)
    message = error.message
    if error.validator == "pattern":  # people need not see what keeps Python from accepting a trailing newline
        message = f"{error.instance!r} does not match {error.validator_value.removesuffix(NO_NEWLINE)!r}"
    message = message if len(message) <= 200 else message[:200] + " ..."
    return f"{path}: {message}"


def _explain_alternatives(mistakes: Sequence[Any]) -> str:
    """The mistake in the alternative that is meant; `mistakes` are those in all alternatives of a value.

    The alternative that is meant is the one whose fixed values, such as the name of a format, are those of the value.
    """
    alternatives: dict[Any, list[Any]] = {}
    for mistake in mistakes:
        alternatives.setdefault(mistake.schema_path[0], []).append(mistake)
    meant = [one for one in alternatives.values() if not any(mistake.validator in DISCRIMINATORS for mistake in one)]
    if meant:
        return _explain(max(meant[0], key=lambda sub: len(sub.absolute_path)))
    deepest = max(mistakes, key=lambda sub: len(sub.absolute_path))
    enums = [sub for sub in mistakes if sub.validator == "enum" and sub.absolute_path == deepest.absolute_path]
    if not enums:
        return _explain(deepest)
    choices = list(dict.fromkeys(str(choice) for enum in enums for choice in enum.validator_value))
    near = get_close_matches(str(enums[0].instance), choices, 1)
    hint = f" (did you mean `{near[0]}`?)" if near else ""
    return f"{_path(enums[0])}: {enums[0].instance!r} is none of {', '.join(choices)}{hint}"
