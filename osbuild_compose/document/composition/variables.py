"""Substitutes `${name}` in values by the variables of `vars` and `--var`, and by those that every document has.

There is no recursion: inserted text is not searched again. Keys and the content of local files are not searched either;
`$${` stands for the text `${`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from osbuild_compose.document import doc_links
from osbuild_compose.document.node import Node, SourceText, Span, Trail
from osbuild_compose.document.reader import MAX_TEXT
from osbuild_compose.document.suggest import did_you_mean, nearest
from osbuild_compose.errors import InputError
from osbuild_compose.problem import Problem

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_USE = re.compile(rf"\$\$\{{|\$\{{({_NAME})\}}|\$\{{")
_REFERENCE = f"{doc_links.COMPOSITION}#variables"


class Variables:
    """The variables of one document."""

    def __init__(self, declared: Node | None, given: Sequence[str], built_in: Mapping[str, Node]) -> None:
        """declared is the value of `vars`; given are "name=value" texts; built_in are used if neither has the name.

        A built-in value may use variables too, also those of `built_in` before it. Raises InputError for texts of
        other forms.
        """
        self.problems: list[Problem] = []
        self.unresolved: set[str] = set()  # locations of values with undefined variables
        self._used: set[str] = set()
        self._length = 0  # of all that was substituted
        own: Mapping[str, Node] = declared.value if declared and isinstance(declared.value, dict) else {}
        self._values = {name: self._plain(name, node) for name, node in own.items()}
        self._given: set[str] = set()
        for text in given:
            name, equals, value = text.partition("=")
            if not equals or not re.fullmatch(_NAME, name):
                raise InputError(f"--var {text}: expected name=value", hint="for example: --var domain=example.org")
            self._values[name] = _of_option(name, value, own.get(name))
            self._given.add(name)
        self._declared = set(own)
        self._built_in = set(built_in)
        for name, node in built_in.items():
            if name not in self._values:
                self._values[name] = self._known(node)

    def filled(self, node: Node, trail: Trail = ()) -> Node:
        """The tree with its variables substituted."""
        value: Any = node.value
        if isinstance(value, dict):
            value = {key: self.filled(item, (*trail, key)) for key, item in value.items()}
        elif isinstance(value, list):
            value = [self.filled(item, (*trail, index)) for index, item in enumerate(value)]
        elif isinstance(value, str) and "${" in value:
            return self._text(node, trail)
        else:
            return node
        return replace(node, value=value)

    def unused(self) -> None:
        """Add a problem for each variable that was given but that nothing declares or uses."""
        for name in sorted(self._given - self._used - self._declared):
            known = self._declared | self._used - {name}
            is_key = (
                f"it is what the blueprint has: {'--profile' if name == 'profile' else f'--set {name}='} changes it"
            )
            otherwise = is_key if name in self._built_in else "variables are declared under `vars`"
            self.problems.append(
                Problem(
                    (),
                    f"--var {name}: the blueprint has no variable {name}",
                    did_you_mean(name, known, otherwise=otherwise),
                    suggestion=nearest(name, known) or "",
                    reference=_REFERENCE,
                )
            )

    def _known(self, node: Node) -> Node:
        """The value of a built-in variable; what cannot be substituted is left in it, and reported where it stands."""
        if not isinstance(node.value, str):
            return replace(node, value=node.written, written=node.written)
        text = _USE.sub(lambda use: self._values[use[1]].written if use[1] in self._values else use[0], node.value)
        text = text.replace("$${", "${")
        return replace(node, value=text, written=text)

    def _text(self, node: Node, trail: Trail) -> Node:
        names: list[str] = []

        def value_of(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name = match[1]
            if name in self._values:
                names.append(name)
                return self._values[name].written
            if (name, match[0]) not in reported:
                reported.add((name, match[0]))
                self._report(node, match[0], name, trail)
            return match[0]

        reported: set[tuple[str, str]] = set()
        uses = (match[1] for match in _USE.finditer(node.value))
        self._length += sum(len(self._values[name].written) for name in uses if name in self._values)
        if self._length > MAX_TEXT:
            raise InputError(
                f"variables make the document larger than {MAX_TEXT >> 20} MiB",
                hint="move large content to separate files",
                location=node.place.location,
                reference=_REFERENCE,
            )
        text = _USE.sub(value_of, node.value)
        via = (*node.via, *(self._from(name) for name in dict.fromkeys(names)))
        self._used |= set(names)
        whole = _USE.fullmatch(node.value)
        if whole and names:  # the variable alone: a number stays a number
            return replace(node, value=self._values[names[0]].value, written=text, via=via)
        return replace(node, value=text, written=text, via=via)

    def _from(self, name: str) -> str:
        place = self._values[name].place.location
        return f"variable {name} ({place.file}:{place.line})" if place.line else f"variable {name} ({place.file})"

    def _plain(self, name: str, node: Node) -> Node:
        """The value of a variable. It cannot use other variables: its meaning would depend on where it is used."""
        if not isinstance(node.value, str):
            return node
        for match in _USE.finditer(node.value):
            if match[0] != "$${":
                self.problems.append(
                    Problem(
                        ("vars", name),
                        f"the variable `{name}` uses another variable, which is not possible",
                        "write $${ for the text ${" if match[1] is None else "",
                        location=_within(node.place, match[0]).location,
                        reference=_REFERENCE,
                    )
                )
                break
        text = node.value.replace("$${", "${")
        return replace(node, value=text, written=text)

    def _report(self, node: Node, text: str, name: str | None, trail: Trail) -> None:
        self.unresolved.add(str(node.place.location))
        if name is None:
            brief = "`${` must be followed by the name of a variable and `}`"
        else:
            brief = f"the variable `{name}` is not defined"
            self._used.add(name)
        escape = f"write $${text[1:]} for the text {text}"
        self.problems.append(
            Problem(
                trail,
                brief,
                did_you_mean(name, self._values, otherwise=f"define it under `vars`, or {escape}") if name else escape,
                suggestion=(name and nearest(name, self._values)) or "",
                expected="one of: " + ", ".join(sorted(self._values)) if self._values else "",
                location=_within(node.place, text).location,
                reference=_REFERENCE,
            )
        )


def _of_option(name: str, value: str, declared: Node | None) -> Node:
    """The value of `--var`: text, or a number, true or false if the declaration in `vars` has one."""
    place = Span(SourceText(f"--var {name}={value}"))
    default = declared.value if declared else ""
    if isinstance(default, bool):
        if value not in {"true", "false"}:
            raise InputError(f"--var {name}={value}: `{name}` must be true or false", reference=_REFERENCE)
        return Node(value == "true", place, written=value)
    if isinstance(default, int):
        if not re.fullmatch(r"-?\d{1,18}", value, re.ASCII):
            raise InputError(f"--var {name}={value}: `{name}` must be a whole number", reference=_REFERENCE)
        return Node(int(value), place, written=value)
    return Node(value, place, written=value)


def _within(place: Span, text: str) -> Span:
    """The position of the text in a value that starts at `place`, in the same line or a later one."""
    lines = place.source.lines
    for line in range(place.line, min(len(lines), place.line + 10_000)):
        column = lines[line].find(text, place.column if line == place.line else 0)
        if column >= 0:
            return Span(place.source, line, column, len(text))
    return place
