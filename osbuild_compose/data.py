"""Where the package's data lies: in a checkout beside the package, in a wheel inside it."""

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
