"""The options of `compose templates ...`; the work is done by templates.py, imported when it runs."""
# ruff: noqa: PLC0415 - as in app.py

from pathlib import Path
from typing import Annotated

import typer

from osbuild_compose.cli import complete
from osbuild_compose.cli.options import Force, Json, Libdirs, Templates

app = typer.Typer(help="Look at, take over and check the distributions' templates.", no_args_is_help=True)

Distro = Annotated[
    str,
    typer.Argument(
        metavar="DISTRO",
        help="A distribution or one of its releases.",
        autocompletion=complete.distros,
        show_default=False,
    ),
]


@app.command("list")
def list_templates(templates: Templates = None, json: Json = False) -> None:
    """List the distributions' templates."""
    from osbuild_compose.cli import templates as command

    command.list_all(templates or (), json)


@app.command()
def show(
    distro: Distro,
    *,
    block: Annotated[str | None, typer.Option("--block", metavar="NAME", help="Print this block's text.")] = None,
    templates: Templates = None,
    json: Json = False,
) -> None:
    """Show what a distribution's template consists of.

    These are templates that extend each other, and their blocks.
    """
    from osbuild_compose.cli import templates as command

    command.show(distro, templates or (), block, json)


@app.command()
def eject(
    distro: Distro,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Templates of your own.")] = Path("templates"),
    *,
    block: Annotated[
        list[str] | None, typer.Option("--block", metavar="NAME", help="Only this block, to change it; repeatable.")
    ] = None,
    force: Force = False,
) -> None:
    """Copy a template, or single blocks, to change them.

    They go into a directory of your own.
    """
    from osbuild_compose.cli import templates as command

    command.eject(distro, directory, block or (), force=force)


@app.command()
def check(
    directory: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Templates of your own; the built-in ones if left out.")
    ] = None,
    *,
    blueprint: Annotated[
        list[Path] | None, typer.Option("--blueprint", metavar="FILE", help="Try this blueprint, too; repeatable.")
    ] = None,
    libdir: Libdirs = None,
    json: Json = False,
) -> None:
    """Try all templates with sample blueprints.

    Every release and architecture is rendered, and the stages' options are checked.
    """
    from osbuild_compose.cli import check_templates as command

    command.check(directory, blueprint or (), libdir or (), json)
