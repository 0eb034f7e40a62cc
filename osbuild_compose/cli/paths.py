"""Files that commands show and write."""

from pathlib import Path

from osbuild_compose.errors import InputError


def relative(file: str) -> str:
    """The path relative to the working directory if it is below it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Write a file. Raises InputError when it exists and `force` is not set, or when it cannot be written."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{path} already exists", hint="--force replaces it") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
