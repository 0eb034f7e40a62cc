"""Following a template while it renders: which line wrote which part of its output, and what was read meanwhile.

Marks are put between a template's tokens before it is compiled. Each writes its number into the output, in characters
that no value can hold (emit.py escapes them) and that are white space to Python: text that a template captures and
finds empty, trimmed, is so with marks, too. Whatever is read after a mark is noted under it.

What a template reads for a variable of its own (`{% set %}`) is noted again wherever the variable is used: at the top
of a template that extends another one there is nothing that a mark could be written to.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, cast

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup

Trail = tuple[str | int, ...]

_MARK, _OPEN, _SET = "_compose_mark", "_compose_open", "_compose_set"
_USE, _RESULT = "_compose_use", "_compose_result"
_BEGIN, _ZERO, _ONE, _END = "\x1c", "\x1d", "\x1e", "\x1f"
_IN_TEXT = re.compile(f"{_BEGIN}([{_ZERO}{_ONE}]+){_END}")


class Part(Enum):
    """What a mark stands for: a line of text, or the begin or end of something that makes text."""

    LINE = auto()
    BEGIN = auto()
    END = auto()


@dataclass(frozen=True)
class Site:
    """A place in a template. what is "block", "macro", "if", "for", "value" or "text"; block and macro have a name.

    names are those in the statement that it stands for, some of them perhaps variables of the template.
    """

    part: Part
    what: str
    name: str
    file: str
    line: int
    names: tuple[str, ...] = ()


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
        self._notes: list[tuple[tuple[str, ...], tuple[str, ...]]] = []  # names used and set by statements without mark
        self._variables: dict[str, list[Trail]] = {}  # what was read for them
        self._open: list[tuple[tuple[str, ...], list[Trail]]] = []  # variables being set, and what was read for them

    def attach(self, environment: Environment) -> None:
        """Put marks into all templates that the environment loads."""
        environment.add_extension(_Marking)
        environment.extend(compose_tracer=self)
        environment.globals.update(
            {_MARK: self._pass, _OPEN: self._begin, _SET: self._end, _USE: self._use, _RESULT: _second}
        )

    def note(self, used: tuple[str, ...], targets: tuple[str, ...] = ()) -> int:
        """The number by which a statement that uses and sets these names tells that it is run."""
        self._notes.append((used, targets))
        return len(self._notes) - 1

    def read(self, trail: Trail) -> None:
        """Note that this value of the blueprint was read just now."""
        if self._open:
            self._open[-1][1].append(trail)
        if self.marks:
            self.marks[-1].reads.append(trail)

    def led_here(self) -> frozenset[Trail]:
        """What was read for getting to the place where rendering is: by conditions and loops, and in the statement."""
        opened: list[Mark] = []
        for mark in self.marks:
            if mark.site.part is Part.BEGIN:
                opened.append(mark)
            elif mark.site.part is Part.END and opened:
                opened.pop()
        return frozenset(trail for mark in opened for trail in mark.reads)

    def _pass(self, site: int) -> Markup:
        self.marks.append(Mark(self.sites[site]))
        self._read_again(self.sites[site].names)
        number = f"{len(self.marks) - 1:b}".translate({ord("0"): _ZERO, ord("1"): _ONE})
        return Markup(f"{_BEGIN}{number}{_END}")  # noqa: S704 - no HTML here

    def _begin(self, number: int) -> None:
        used, targets = self._notes[number]
        self._open.append((targets, []))
        self._read_again(used)

    def _end(self, _begun: None, value: Any) -> Any:
        targets, reads = self._open.pop()
        self._variables.update(dict.fromkeys(targets, reads))
        return value

    def _use(self, number: int) -> None:
        self._read_again(self._notes[number][0])

    def _read_again(self, names: Iterable[str]) -> None:
        for name in names:
            for trail in self._variables.get(name, ()):
                self.read(trail)

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
        # An attribute of a namespace is the namespace's: what was read for it before still counts.
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
    """The names in an expression, but for those of attributes and of named arguments."""
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
