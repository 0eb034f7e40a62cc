"""The options of `compose cache ...`; the work is done by cache.py, imported when it runs."""
# ruff: noqa: PLC0415 - as in app.py

from typing import Annotated

import typer

from osbuild_compose.cli.options import Json, Store, store_directory

app = typer.Typer(help="Look after the store of layers, images and downloads.", no_args_is_help=True)

Keep = Annotated[str | None, typer.Option("--keep", metavar="SIZE", help="At most this much is left, such as 10G.")]
Days = Annotated[float | None, typer.Option("--days", metavar="N", min=0, help="Only what was unused for this long.")]


@app.command()
def ls(store: Store = None, json: Json = False) -> None:
    """List what is in it, what was not used for longest first."""
    from osbuild_compose.cli import cache

    cache.ls(store_directory(store), json)


@app.command()
def du(store: Store = None, json: Json = False) -> None:
    """Show how large it is."""
    from osbuild_compose.cli import cache

    cache.du(store_directory(store), json)


@app.command()
def prune(keep: Keep = None, days: Days = None, store: Store = None, json: Json = False) -> None:
    """Remove what was not used for longest."""
    from osbuild_compose.cli import cache

    cache.prune(store_directory(store), keep, days, json)


@app.command()
def verify(store: Store = None, json: Json = False) -> None:
    """Read every byte; remove and report what is damaged (exit code 1)."""
    from osbuild_compose.cli import cache

    cache.verify(store_directory(store), json)


@app.command()
def clear(store: Store = None, json: Json = False) -> None:
    """Remove everything."""
    from osbuild_compose.cli import cache

    cache.clear(store_directory(store), json)
