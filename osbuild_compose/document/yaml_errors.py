"""YAML syntax errors in plain words, with hints."""

import contextlib
from typing import NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.tokens import ScalarToken

from osbuild_compose.document import doc_links
from osbuild_compose.document.node import SourceText, Span
from osbuild_compose.errors import InputError, Location

BOUNDS = TOO_DEEP, TOO_MANY = ("nested too deeply", "too large")  # messages of our own for the parser

_OPEN_QUOTE = ("a quote is not closed", "look for its end in the lines from here on")

# The message of the parser or its beginning; our message ("" for the same one); a hint.
_SAYINGS = (
    ("mapping values are not allowed", "", 'a value that contains ": " needs quotes; each key starts on its own line'),
    (
        "but found another document",
        "the file holds a second document",
        "a blueprint is a single document: remove the line ---",
    ),
    (
        "could not find expected ':'",
        "missing colon",
        "a key ends with a colon, an item of a list starts with a dash, text after | is indented",
    ),
    (
        "expected <block end>",
        "the indentation does not match the lines above",
        "keys of a mapping start in the same column, and so do the dashes of a list",
    ),
    ("expected ',' or ']'", "", "a bracket [ is not closed, or a comma is missing"),
    ("expected ',' or '}'", "", "a brace { is not closed, or a comma is missing"),
    ("found unexpected end of stream", *_OPEN_QUOTE),
    ("found character '", "", "put the value in quotes"),
    ("found undefined alias", "", "an anchor &name must come before its aliases, in the same file"),
    ("found unknown escape character", "", "write a backslash twice in double quotes, or use single quotes"),
)


# Errors found at the end of something whose beginning is the cause.
_BEGUN_EARLIER = ("found unexpected end of stream", "could not find expected ':'", "expected ',' or")
_LINE_STARTS = ("'<block mapping start>'", "'<block sequence start>'", "'<scalar>'", "'?'", "'-'", "'<block entry>'")


def problem(error: MarkedYAMLError, source: SourceText) -> InputError:
    """The error for an error of the parser."""
    mark = error.problem_mark or error.context_mark
    text = str(error.problem or error.context or "not valid YAML")
    if mark is None:
        return _syntax_error(text, "", Location(source.file))
    place = Span(source, mark.line, mark.column).location
    if text in BOUNDS:
        hint = "move large content to separate files"
        return InputError(
            f"the document is {text}", hint=hint, location=place, reference=f"{doc_links.ERRORS}#too-large"
        )
    before = place.text[: place.column]
    if "\t" in before and ("token" in text or not before.strip()):
        return _syntax_error("a tab is used for indentation", "indent with spaces", place)
    if quote := _runaway_quote(source, mark.line, mark.column):
        return _syntax_error(*_OPEN_QUOTE, quote.location)
    if text.startswith("expected <block end>") and before[:-1].strip() and text.endswith(_LINE_STARTS):
        return _syntax_error("unexpected text after a value", "put the whole value in quotes", place)
    if text.startswith(_BEGUN_EARLIER) and error.context_mark:
        begun = error.context_mark
        place = Span(source, begun.line, begun.column).location
    return _syntax_error(*_in_words(text), place)


def _in_words(text: str) -> tuple[str, str]:
    """A message of the parser in plain words, and a hint."""
    if text.startswith("expected <block end>") and not text.endswith(_LINE_STARTS):
        return text, ""
    for begin, saying, hint in _SAYINGS:
        if text.startswith(begin) or begin in text:
            return saying or text, hint
    return text, ""


def _runaway_quote(source: SourceText, line: int, column: int) -> Span | None:
    """The start of a quoted text that ends just before this position, but in a later line than it starts in.

    Then its closing quote is missing, and it was ended by the opening quote of another text.
    """
    lines = [*source.lines[:line], source.lines[line][:column]] if line < len(source.lines) else []
    if not lines or not lines[-1].rstrip().endswith(("'", '"')):
        return None
    last = None
    with contextlib.suppress(YAMLError, ValueError):
        for token in YAML(typ="safe", pure=True).scan("\n".join(lines)):
            if isinstance(token, ScalarToken):
                last = token
    if last is None or last.plain or last.end_mark.line < line or last.start_mark.line == line:
        return None
    return Span(source, last.start_mark.line, last.start_mark.column)


def character(error: ReaderError, text: str, source: SourceText) -> InputError:
    """The error for a character that YAML does not allow."""
    position = min(error.position, len(text))
    line = text.count("\n", 0, position)
    column = position - (text.rfind("\n", 0, position) + 1)
    found = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
    return _syntax_error(
        f"the character U+{found:04X} is not allowed",
        'remove it, or write it in double quotes as "\\x' + f'{found:02x}"' if found < 0x100 else "remove it",
        Span(source, line, column).location,
    )


def other(error: Exception, source: SourceText) -> InputError:
    """The error for a parser error without a position."""
    return _syntax_error(str(error).partition("\n")[0] or type(error).__name__, "", Location(source.file))


def not_utf8(byte: int, place: Location) -> NoReturn:
    """Raise the error for a byte that is not UTF-8."""
    raise InputError(
        f"the file is not UTF-8 text: byte 0x{byte:02x} in line {place.line}",
        hint="save it as UTF-8",
        location=place,
        reference=f"{doc_links.ERRORS}#not-utf-8",
    )


def _syntax_error(text: str, hint: str, place: Location) -> InputError:
    return InputError(
        f"not valid YAML: {text}", hint=hint, location=place, reference=f"{doc_links.ERRORS}#not-valid-yaml"
    )
