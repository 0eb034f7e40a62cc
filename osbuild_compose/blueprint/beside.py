"""Files that a blueprint names: they lie relative to it."""

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
