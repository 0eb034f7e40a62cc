"""Where the package's data lies: in a checkout beside the package, in a wheel inside it."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


@cache
def directory(name: str) -> Path:
    """The directory `name` ("templates", "schemas"). The checkout's has the last word over an installed one's."""
    checkout = _PACKAGE.parent / name
    if checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    return _PACKAGE / "data" / name
