"""Files that a blueprint names: they lie relative to it."""

import hashlib
import re
from functools import cache
from pathlib import Path

MAX_FILE = 16 * 1024 * 1024  # bytes; the file is carried inside the pipeline


class Beside:
    """Reads files relative to the blueprint, each once."""

    def __init__(self, blueprint: str) -> None:
        """blueprint is the blueprint's own path."""
        self._directory = Path(blueprint).parent
        self._contents: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        """The bytes of the file. Raises ValueError whose text says why it cannot be had."""
        if name not in self._contents:
            self._contents[name] = self._read(self._directory / name)
        return self._contents[name]

    def text(self, name: str) -> str:
        """The text of the file. Raises ValueError whose text says why it cannot be had."""
        try:
            return self.read(name).decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name} is not text: byte {error.start} is not UTF-8") from None

    def large(self, name: str) -> tuple[str, str]:
        """The address (file://...) and the sha256 in hexadecimal digits of a file of any size.

        Raises ValueError whose text says why they cannot be had.
        """
        path = (self._directory / name).absolute()
        try:
            if path.exists() and not path.is_file():
                raise ValueError(f"{path} is not a file")
            found = path.stat()
            digest = _digest(path, found.st_mtime_ns, found.st_size)
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None
        if re.search(r"[\s\"\\%]", str(path)):
            raise ValueError(f"{path} has characters in it that an address cannot have; rename it")
        return f"file://{path}", digest

    @staticmethod
    def _read(path: Path) -> bytes:
        try:
            if path.exists() and not path.is_file():
                raise ValueError(f"{path} is not a file")
            if path.stat().st_size > MAX_FILE:
                raise ValueError(f"{path} is larger than {MAX_FILE // 1024**2} MiB; put large content in a package")
            return path.read_bytes()
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from None


@cache
def _digest(path: Path, _changed: int, _size: int) -> str:
    """The sha256 of the file, read once while it does not change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
