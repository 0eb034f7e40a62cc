"""Following a template while it renders: which line wrote which part of its output, and what was read meanwhile.

Marks are put between a template's tokens before it is compiled. Each writes its number into the output, in characters
that no value can hold (emit.py escapes them) and that are white space to Python: text that a template captures and
finds empty, trimmed, is so with marks, too. Whatever is read after a mark is noted under it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import cast

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup

Trail = tuple[str | int, ...]

_MARK = "_compose_mark"
_BEGIN, _ZERO, _ONE, _END = "\x1c", "\x1d", "\x1e", "\x1f"
_IN_TEXT = re.compile(f"{_BEGIN}([{_ZERO}{_ONE}]+){_END}")


class Part(Enum):
    """What a mark stands for: a line of text, or the begin or end of something that makes text."""

    LINE = auto()
    BEGIN = auto()
    END = auto()


@dataclass(frozen=True)
class Site:
    """A place in a template. what is "block", "macro", "if", "for", "value" or "text"; block and macro have a name."""

    part: Part
    what: str
    name: str
    file: str
    line: int


@dataclass
class Mark:
    """A site that was passed while rendering; `reads` is what was read between it and the next one."""

    site: Site
    reads: list[Trail] = field(default_factory=list)


class Tracer:
    """What happened while a template was rendered."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.marks: list[Mark] = []

    def attach(self, environment: Environment) -> None:
        """Put marks into all templates that the environment loads."""
        environment.add_extension(_Marking)
        environment.extend(compose_tracer=self)
        environment.globals[_MARK] = self._pass

    def read(self, trail: Trail) -> None:
        """Note that this value of the blueprint was read just now."""
        if self.marks:
            self.marks[-1].reads.append(trail)

    def _pass(self, site: int) -> Markup:
        self.marks.append(Mark(self.sites[site]))
        number = f"{len(self.marks) - 1:b}".translate({ord("0"): _ZERO, ord("1"): _ONE})
        return Markup(f"{_BEGIN}{number}{_END}")  # noqa: S704 - no HTML here

    def split(self, text: str) -> tuple[str, list[tuple[int, Mark]]]:
        """The rendered text without its marks, and the marks with their positions in it, in their order."""
        plain: list[str] = []
        found: list[tuple[int, Mark]] = []
        length = 0
        for index, part in enumerate(_IN_TEXT.split(text)):
            if index % 2:
                number = part.translate({ord(_ZERO): "0", ord(_ONE): "1"})
                found.append((length, self.marks[int(number, 2)]))
            else:
                plain.append(part)
                length += len(part)
        return "".join(plain), found


class _Marking(Extension):
    """Puts marks into the tokens of a template."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        file = str(stream.filename or stream.name or "")
        tokens = iter(stream)
        required: list[bool] = []  # of the blocks that are open: Jinja lets nothing stand in a required one
        for token in tokens:
            if token.type == "data":
                yield from self._lines(token, file)
            elif token.type == "variable_begin":
                yield from self._mark(Part.BEGIN, "value", "", file, token.lineno)
                yield from _until("variable_end", token, tokens)
                yield from self._mark(Part.END, "value", "", file, token.lineno)
            elif token.type == "block_begin":
                yield from self._statement(list(_until("block_end", token, tokens)), file, required)
            else:
                yield token

    def _lines(self, token: Token, file: str) -> Iterator[Token]:
        for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", token.value)):
            if line.strip():
                yield from self._mark(Part.LINE, "text", "", file, token.lineno + number)
            yield Token(token.lineno + number, "data", line)

    def _statement(self, tokens: list[Token], file: str, required: list[bool]) -> Iterator[Token]:
        keyword, line = tokens[1].value, tokens[0].lineno
        match keyword:
            case "if" | "for":
                yield from [*self._mark(Part.BEGIN, keyword, "", file, line), *tokens]
            case "endif" | "endfor":
                yield from [*tokens, *self._mark(Part.END, keyword.removeprefix("end"), "", file, line)]
            case "block" | "macro":
                required.append(keyword == "block" and any(token.value == "required" for token in tokens[3:]))
                yield from tokens
                yield from () if required[-1] else self._mark(Part.BEGIN, keyword, tokens[2].value, file, line)
            case "endblock" | "endmacro":
                skip = bool(required) and required.pop()
                yield from () if skip else self._mark(Part.END, keyword.removeprefix("end"), "", file, line)
                yield from tokens
            case _:
                yield from tokens

    def _mark(self, part: Part, what: str, name: str, file: str, line: int) -> Iterator[Token]:
        tracer: Tracer = self.environment.compose_tracer  # type: ignore[attr-defined]
        tracer.sites.append(Site(part, what, name, file, line))
        yield Token(line, "variable_begin", "{{")
        yield Token(line, "name", _MARK)
        yield Token(line, "lparen", "(")
        yield Token(line, "integer", cast(str, len(tracer.sites) - 1))  # the lexer has numbers there too
        yield Token(line, "rparen", ")")
        yield Token(line, "variable_end", "}}")


def _until(last: str, first: Token, tokens: Iterator[Token]) -> Iterator[Token]:
    yield first
    for token in tokens:
        yield token
        if token.type == last:
            return
