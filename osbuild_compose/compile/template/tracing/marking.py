"""Inserts the marks of a tracer between the tokens of a template, before it is compiled."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from osbuild_compose.compile.template.tracing.tracer import Part, Site, Tracer

_MARK, _OPEN, _SET = "_compose_mark", "_compose_open", "_compose_set"
_USE, _RESULT = "_compose_use", "_compose_result"


def attach(tracer: Tracer, environment: Environment) -> None:
    """Put marks into all templates that the environment loads."""
    environment.add_extension(_Marking)
    environment.extend(compose_tracer=tracer)
    environment.globals.update(
        {
            _MARK: tracer.passed,
            _OPEN: tracer.set_begins,
            _SET: tracer.set_ends,
            _USE: tracer.uses,
            _RESULT: _second,
        }
    )


class _Marking(Extension):
    """Puts marks into the tokens of a template."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        file = str(stream.filename or stream.name or "")
        tokens = iter(stream)
        required: list[bool] = []  # for each open block: Jinja allows no content in a required one
        for token in tokens:
            if token.type == "data":
                yield from self._lines(token, file)
            elif token.type == "variable_begin":
                inside = list(_until("variable_end", token, tokens))
                yield from self._mark(Site(Part.BEGIN, "value", "", file, token.lineno, _names(inside)))
                yield from inside
                yield from self._mark(Site(Part.END, "value", "", file, token.lineno))
            elif token.type == "block_begin":
                yield from self._statement(list(_until("block_end", token, tokens)), file, required)
            else:
                yield token

    def _lines(self, token: Token, file: str) -> Iterator[Token]:
        for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", token.value)):
            if line.strip():
                yield from self._mark(Site(Part.LINE, "text", "", file, token.lineno + number))
            yield Token(token.lineno + number, "data", line)

    def _statement(self, tokens: list[Token], file: str, required: list[bool]) -> Iterator[Token]:
        keyword, line = tokens[1].value, tokens[0].lineno
        match keyword:
            case "if" | "for":
                yield from [*self._mark(Site(Part.BEGIN, keyword, "", file, line, _names(tokens))), *tokens]
            case "elif":
                begin = _call(line, _USE, self._tracer.note(_names(tokens[2:])))
                yield from [*tokens[:2], *_wrapped(_RESULT, begin, tokens[2:-1]), tokens[-1]]
            case "set" if any(token.type == "assign" for token in tokens):
                yield from self._set(tokens)
            case "endif" | "endfor":
                yield from [*tokens, *self._mark(Site(Part.END, keyword.removeprefix("end"), "", file, line))]
            case "block" | "macro":
                required.append(keyword == "block" and any(token.value == "required" for token in tokens[3:]))
                yield from tokens
                yield from () if required[-1] else self._mark(Site(Part.BEGIN, keyword, tokens[2].value, file, line))
            case "endblock" | "endmacro":
                skip = bool(required) and required.pop()
                yield from () if skip else self._mark(Site(Part.END, keyword.removeprefix("end"), "", file, line))
                yield from tokens
            case _:
                yield from tokens

    def _set(self, tokens: list[Token]) -> Iterator[Token]:
        line = tokens[0].lineno
        assign = next(index for index, token in enumerate(tokens) if token.type == "assign")
        targets = _names(tokens[2:assign])
        # Setting one attribute of a namespace keeps what was read for the others.
        before = targets if any(token.type == "dot" for token in tokens[:assign]) else ()
        begin = _call(line, _OPEN, self._tracer.note((*before, *_names(tokens[assign:])), targets))
        yield from [*tokens[: assign + 1], *_wrapped(_SET, begin, tokens[assign + 1 : -1]), tokens[-1]]

    def _mark(self, site: Site) -> Iterator[Token]:
        self._tracer.sites.append(site)
        line = site.line
        yield Token(line, "variable_begin", "{{")
        yield from _call(line, _MARK, len(self._tracer.sites) - 1)
        yield Token(line, "variable_end", "}}")

    @property
    def _tracer(self) -> Tracer:
        tracer: Tracer = self.environment.compose_tracer  # type: ignore[attr-defined]
        return tracer


def _call(line: int, function: str, number: int) -> list[Token]:
    """function(number)"""
    kinds = (("name", function), ("lparen", "("), ("integer", number), ("rparen", ")"))
    return [Token(line, kind, cast(str, value)) for kind, value in kinds]  # the lexer has numbers there too


def _wrapped(function: str, first: list[Token], expression: list[Token]) -> list[Token]:
    """function(first, (expression))"""
    line = first[0].lineno
    before = [Token(line, "name", function), Token(line, "lparen", "(")]
    between = [Token(line, "comma", ","), Token(line, "lparen", "(")]
    return [*before, *first, *between, *expression, Token(line, "rparen", ")"), Token(line, "rparen", ")")]


def _names(tokens: Sequence[Token]) -> tuple[str, ...]:
    """The names in an expression, except those of attributes and of named arguments."""
    around = zip([None, *tokens], tokens, [*tokens[1:], None], strict=False)
    found = [
        token.value
        for before, token, after in around
        if token.type == "name" and not (before and before.type == "dot") and not (after and after.type == "assign")
    ]
    return tuple(dict.fromkeys(found))


def _second(_first: None, value: Any) -> Any:
    return value


def _until(last: str, first: Token, tokens: Iterator[Token]) -> Iterator[Token]:
    yield first
    for token in tokens:
        yield token
        if token.type == last:
            return
