"""Writes blueprints as readable, unambiguous YAML."""

import io
import re
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

# Texts that need no quotes, in any version of YAML.
_PLAIN = re.compile(r"[A-Za-z/][\w./+-]*(?: [\w./+-]+)*", re.ASCII)
_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_LITERAL = re.compile(r"[ -~\n]*[!-~][ -~\n]*\n", re.ASCII)


def pretty(data: dict[str, Any], comments: dict[str, str], head: Sequence[str], foot: Sequence[str]) -> str:
    """YAML as a person would write it. comments are put before keys; head and foot are lines of comments."""
    document = CommentedMap({key: _styled(value) for key, value in data.items()})
    for key, comment in comments.items():
        if key in document:
            document.yaml_set_comment_before_after_key(key, before=comment)
    out = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(document, out)
    above, below = ([f"# {line}".rstrip() + "\n" for line in lines] for lines in (head, foot))
    return "".join([*above, out.getvalue(), *below])


def _styled(value: Any) -> Any:
    if isinstance(value, dict):
        return CommentedMap({_styled(key): _styled(item) for key, item in value.items()})
    if isinstance(value, list):
        return [_styled(item) for item in value]
    if not isinstance(value, str):
        return value
    if "\n" in value and _LITERAL.fullmatch(value) and not value.startswith((" ", "\n")) and not value.endswith("\n\n"):
        return LiteralScalarString(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT:
        return value
    return DoubleQuotedScalarString(value)
