"""Reads the files and passphrases that a blueprint refers to."""

import hashlib
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from osbuild_compose.blueprint import overlay
from osbuild_compose.document import input_file
from osbuild_compose.problem import InvalidValueError

MAX_FILE = 16 * 1024 * 1024  # bytes; the file is carried inside the pipeline
MAX_GIVEN = 256 * 1024 * 1024  # bytes, likewise
MAX_PASSPHRASE = 512  # bytes: what cryptsetup reads at a prompt

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HINT = "the path is relative to the blueprint's directory"


def is_address(name: str) -> bool:
    """Whether this is an address where the path of a file is meant."""
    return _ADDRESS.match(name) is not None


class LocalFiles:
    """Reads files relative to a blueprint, each once. The methods raise InvalidValueError for unusable files."""

    def __init__(self, blueprint: str) -> None:
        """blueprint is the blueprint's own path."""
        self._directory = Path(blueprint).parent
        self._contents: dict[str, bytes] = {}
        self._scanned: dict[str, tuple[overlay.Entry, ...]] = {}
        self._given = 0

    def read(self, name: str) -> bytes:
        """The bytes of the file."""
        _refuse_address(name)
        if name not in self._contents:
            self._contents[name] = self._read(self._directory / name)
        self._given += len(self._contents[name])
        if self._given > MAX_GIVEN:  # the same file may be wanted many times
            brief = f"all files together are larger than {MAX_GIVEN // 1024**2} MiB"
            raise InvalidValueError(brief, "put large content in a package")
        return self._contents[name]

    def text(self, name: str) -> str:
        """The text of the file."""
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as error:
            raise InvalidValueError(f"{name} is not text: byte {error.start} is not UTF-8", _HINT) from None

    def large(self, name: str) -> tuple[str, str]:
        """The URL (file://...) and the sha256 in hexadecimal digits of a file of any size."""
        _refuse_address(name)
        shown = self._directory / name
        path = shown.absolute()
        if os.path.exists(path) and not os.path.isfile(path):
            raise InvalidValueError(f"{shown} is not a file", _HINT)
        try:
            found = path.stat()
            digest = _digest(path, found.st_mtime_ns, found.st_size)
        except (OSError, ValueError) as error:
            raise _unreadable(shown, error) from None
        return f"file://{quote(os.fsencode(path))}", digest

    def is_directory(self, name: str) -> bool:
        """Whether this is a directory."""
        try:
            return not is_address(name) and (self._directory / name).is_dir()
        except OSError:  # the name is too long
            return False

    def is_large(self, name: str) -> bool:
        """Whether this is a file that is too large for the pipeline."""
        try:
            return not is_address(name) and (self._directory / name).stat().st_size > MAX_FILE
        except (OSError, ValueError):
            return False

    def scan(self, name: str) -> tuple[overlay.Entry, ...]:
        """What is in a directory, at paths relative to it."""
        if name not in self._scanned:
            self._scanned[name] = overlay.scan(self._directory / name)
        return self._scanned[name]

    def overlay(self, name: str, top: str, options: Mapping[str, Any]) -> overlay.Overlay:
        """A directory as a tree at the path `top` of the image; options: mode, owner and group, if they are given."""
        return overlay.overlay(self._directory / name, top, options)

    def directory(self, name: str) -> str:
        """The absolute path of a directory."""
        shown = self._directory / name
        if "$" not in name and not os.path.isdir(shown):  # dnf's variables are known later
            why = "is not a directory" if os.path.lexists(shown) else "does not exist"
            raise InvalidValueError(f"{shown} {why}", "a path is absolute, or relative to the blueprint's directory")
        return str(shown.absolute())

    def passphrase(self, source: Mapping[str, Any], environ: Mapping[str, str]) -> str:
        """The passphrase that `luks` of a partition names, without the end of its line.

        It comes from a file or from a variable of the environment, and can be typed at a prompt.
        """
        if "passphrase_variable" in source:
            name = source["passphrase_variable"]
            if name not in environ:
                raise InvalidValueError(f"there is no variable {name} in the environment", "export it")
            text, where, hint = environ[name], f"the variable {name}", "export it"
        else:
            where, hint = source["passphrase_file"], _HINT
            text = self.text(where).removesuffix("\n")
        if not text or "\n" in text or len(text.encode(errors="replace")) > MAX_PASSPHRASE:
            brief = f"{where} does not hold a passphrase: one line of up to {MAX_PASSPHRASE} bytes"
            raise InvalidValueError(brief, hint)
        return text

    @staticmethod
    def _read(path: Path) -> bytes:
        if os.path.exists(path) and not os.path.isfile(path):
            raise InvalidValueError(f"{path} is not a file", _HINT)
        try:
            size = path.stat().st_size
            if size <= MAX_FILE:
                return input_file.read(path, MAX_FILE)
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from None
        brief = f"{path} is larger than {MAX_FILE // 1024**2} MiB"
        raise InvalidValueError(brief, "put large content in a package")


def _unreadable(path: Path, error: OSError | ValueError) -> InvalidValueError:
    """What to say about a file that cannot be read; a ValueError is about a NUL in its name."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return InvalidValueError(f"cannot read {path}: {reason}", _HINT)


def _refuse_address(name: str) -> None:
    if is_address(name):
        raise InvalidValueError(
            f"{name} is an address, and not a file of this machine", "save it next to the blueprint"
        )


@cache
def _digest(path: Path, _changed: int, _size: int) -> str:
    """The sha256 of the file, which is read once as long as it does not change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
