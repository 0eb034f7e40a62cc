"""Streams for people that no text can use to control their terminal.

Text from blueprints, packages, stages, file names and servers is printed in many places. It is filtered in one: the
stream that everything is written to.
"""

import errno
import io
import os
import re
import secrets
from collections.abc import Callable
from typing import TextIO

from osbuild_compose.errors import HostError

# Escape sequences of our own contain a random number, which no text from elsewhere can know.
ESCAPE = f"\033{secrets.token_hex(8)}"

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Characters without a shape that Unicode does not count among the control and format characters.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]")
_UNUSUAL = re.compile(r"[^\t\x20-\x7e]")
_OWN = re.compile(rf"{re.escape(ESCAPE)}(\[[0-9;]+m)")


def printable(text: str) -> str:
    """The text in one line, without characters that control a terminal, that are invisible or change what is read.

    They are replaced by U+FFFD. That is all that str.isprintable() refuses: control and format characters, those that
    change the direction of writing among them, line ends, surrogates, characters for private use.
    """
    return _UNUSUAL.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    return match[0] if _is_shown(match[0]) else REPLACEMENT


def _is_shown(character: str) -> bool:
    return character.isprintable() and not _INVISIBLE.match(character)


def filtered(text: str) -> str:
    """The text as it may reach a terminal: `printable` in each of its lines, and with our own colours."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\033{part}" if index % 2 else "\n".join(map(printable, part.split("\n")))
        for index, part in enumerate(_OWN.split(text))
    )


def escaped_json(text: str) -> str:
    """The same JSON document with escapes for all characters that `printable` replaces."""
    return "\n".join(_UNUSUAL.sub(_json_escape, line) for line in text.split("\n"))


def _json_escape(match: re.Match[str]) -> str:
    if _is_shown(match[0]):
        return match[0]
    units = match[0].encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


class ReaderGoneError(Exception):
    """Nothing reads the output any more; not an OSError, which the library of the command line would deal with."""


class SafeStream(io.TextIOWrapper):
    """A standard stream. Everything that is written to it is filtered."""

    def __init__(self, fd: int, name: str, encoding: str, *, matters: bool) -> None:
        """fd is written to and never closed; `name` is for messages.

        matters: it gets the result of a command, so that what cannot be written is an error (HostError). Progress and
        messages may get lost. Characters that the encoding lacks are escaped.
        """
        self._binary = open(fd, "wb", closefd=False)  # noqa: SIM115
        super().__init__(self._binary, encoding, errors="backslashreplace", line_buffering=os.isatty(fd) or not matters)
        self._name = name
        self._matters = matters
        self.exact = _Unfiltered(self)

    def write(self, text: str) -> int:
        """Write the text filtered."""
        self.checked(lambda: super(SafeStream, self).write(filtered(text)))
        return len(text)

    def flush(self) -> None:
        """Write what is kept back."""
        self.checked(super().flush)

    def write_exact(self, text: str) -> int:
        """Write the text unchanged."""
        self.checked(lambda: super(SafeStream, self).write(text))
        return len(text)

    def write_json(self, text: str) -> None:
        """Write a JSON document: exactly, in UTF-8, or with escapes where a terminal would obey its characters."""
        if self.isatty():
            self.write_exact(escaped_json(text))
        else:
            self.flush()
            self.checked(lambda: self._binary.write(text.encode()))

    def checked(self, write: Callable[[], object]) -> None:
        """Call the function that writes.

        Raises ReaderGoneError if nothing reads any more, HostError if writing fails; once, then nothing is said.
        """
        try:
            write()
        except (OSError, ValueError) as error:
            matters, self._matters = self._matters, False
            if matters and isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EIO):  # EIO: a terminal
                raise ReaderGoneError from None
            if matters:
                raise HostError(f"cannot write to {self._name}: {_reason(error)}") from None


class _Unfiltered:
    """A stream for text that is filtered already and mixed with control sequences of our own."""

    def __init__(self, stream: SafeStream) -> None:
        self.write = stream.write_exact
        self.flush = stream.flush
        self.isatty = stream.isatty
        self.fileno = stream.fileno
        self.encoding = stream.encoding


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return "it is closed" if error.errno == errno.EBADF else error.strerror or str(error)
    return str(error)


def unfiltered(out: TextIO) -> TextIO:
    """The stream behind a SafeStream; any other stream itself."""
    return out.exact if isinstance(out, SafeStream) else out  # type: ignore[return-value]


def write_json(text: str, out: TextIO) -> None:
    """Write a JSON document that may contain any characters."""
    if isinstance(out, SafeStream):
        out.write_json(text)
    else:
        out.write(text)


def write_document(text: str, out: TextIO) -> None:
    """Write a document, such as YAML, exactly, but filtered on a terminal."""
    if isinstance(out, SafeStream) and not out.isatty():
        out.flush()
        out.checked(lambda: out.buffer.write(text.encode()))
    else:
        out.write(text)
