"""What is wrong with a file that is not YAML, in words that say what to do."""

from typing import NoReturn

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from osbuild_compose.document import doc_links
from osbuild_compose.document.node import Source, Span
from osbuild_compose.errors import InputError, Location

BOUNDS = TOO_DEEP, TOO_MANY = ("nested too deeply", "too large")  # what we let the parser say
_SECOND_DOCUMENT = "but found another document"
OF_THE_WHOLE = (*BOUNDS, _SECOND_DOCUMENT)  # what is wrong with no part of the file alone

# What the parser says, or how it begins: what to say instead ("" for the same), and what to do.
_SAYINGS = (
    ("mapping values are not allowed", "", 'a value with ": " in it wants quotes; a key starts on its own line'),
    (
        _SECOND_DOCUMENT,
        "the file holds a second document",
        "a blueprint is one document: remove the line ---",
    ),
    (
        "could not find expected ':'",
        "a line lacks its colon",
        "a key ends in a colon, an item of a list begins with a dash, text after | is indented",
    ),
    (
        "expected <block end>",
        "the line does not go on with what is above it",
        "keys of one mapping begin in the same column, and so do the dashes of a list",
    ),
    ("expected ',' or ']'", "", "a bracket [ is not closed, or a comma is missing"),
    ("expected ',' or '}'", "", "a brace { is not closed, or a comma is missing"),
    ("found unexpected end of stream", "a quote is not closed", "look for it from the place shown on"),
    ("found character '", "", "put the value in quotes"),
    ("found undefined alias", "", "an anchor &name stands before its aliases, in the same file"),
    ("found unknown escape character", "", "in double quotes a backslash is written twice; single quotes leave it"),
)


# What is found at the end of something that is wrong from its beginning on.
_BEGUN_EARLIER = ("found unexpected end of stream", "could not find expected ':'", "expected ',' or")
_LINE_STARTS = ("'<block mapping start>'", "'<block sequence start>'", "'<scalar>'", "'?'", "'-'", "'<block entry>'")


def problem(error: MarkedYAMLError, source: Source) -> InputError:
    """The error for what the parser stumbled over."""
    mark = error.problem_mark or error.context_mark
    text = str(error.problem or error.context or "not valid YAML")
    if mark is None:
        return _wrong(text, "", Location(source.file))
    place = Span(source, mark.line, mark.column).location
    before = place.text[: place.column]
    if "\t" in before and ("token" in text or not before.strip()):
        return _wrong("a tab stands where YAML wants spaces", "indent with spaces", place)
    if text in BOUNDS:
        hint = "keep large content in files of its own"
        return InputError(
            f"the document is {text}", hint=hint, location=place, reference=f"{doc_links.ERRORS}#too-large"
        )
    if text.startswith(_BEGUN_EARLIER) and error.context_mark:
        begun = error.context_mark
        place = Span(source, begun.line, begun.column).location
    if text.startswith("expected <block end>") and not text.endswith(_LINE_STARTS):
        return _wrong(text, "", place)
    for begin, saying, hint in _SAYINGS:
        if text.startswith(begin) or begin in text:
            return _wrong(saying or text, hint, place)
    return _wrong(text, "", place)


def character(error: ReaderError, text: str, source: Source) -> InputError:
    """The error for a character that YAML does not allow."""
    position = min(error.position, len(text))
    line = text.count("\n", 0, position)
    column = position - (text.rfind("\n", 0, position) + 1)
    found = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
    return _wrong(
        f"the character U+{found:04X} is not allowed",
        'remove it, or write it in double quotes as "\\x' + f'{found:02x}"' if found < 0x100 else "remove it",
        Span(source, line, column).location,
    )


def other(error: Exception, source: Source) -> InputError:
    """The error for what the parser has no place of."""
    return _wrong(str(error).partition("\n")[0] or type(error).__name__, "", Location(source.file))


def not_utf8(byte: int, place: Location) -> NoReturn:
    """Raise the error for a byte that is not UTF-8."""
    raise InputError(
        f"the file is not UTF-8 text: byte 0x{byte:02x} in line {place.line}",
        hint="save it as UTF-8",
        location=place,
        reference=f"{doc_links.ERRORS}#not-utf-8",
    )


def _wrong(text: str, hint: str, place: Location) -> InputError:
    return InputError(
        f"not valid YAML: {text}", hint=hint, location=place, reference=f"{doc_links.ERRORS}#not-valid-yaml"
    )
