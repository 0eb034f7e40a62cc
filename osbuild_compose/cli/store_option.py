"""The option that says where the store is, and where it is otherwise."""

import os
from pathlib import Path
from typing import Annotated

import typer

Store = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Where layers are kept; ~/.cache/osbuild-compose if left out."),
]


def store_directory(store: Path | None) -> Path:
    """The store that was asked for, or the user's own: an absolute path."""
    if store is not None:
        return store.absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "osbuild-compose"
