"""The directories of the package's data files, in a checkout or in an installed wheel."""

from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


@cache
def directory(name: str) -> Path:
    """The directory `name` ("templates", "schemas"). The checkout's has the last word over an installed one's."""
    checkout = PACKAGE.parent / name
    if checkout.is_dir() and (PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    return PACKAGE / "data" / name
