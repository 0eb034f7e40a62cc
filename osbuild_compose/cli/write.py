"""Writing files that may be a person's work."""

from pathlib import Path

from osbuild_compose.errors import InputError


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Write the file. Raises InputError when it is there and `force` is not set, or it cannot be written."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path} is there already", hint="--force replaces it") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
