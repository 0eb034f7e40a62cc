"""The options of `compose init` and `compose import`; the work is done by other modules, imported when it runs."""
# ruff: noqa: PLC0415 - as in app.py

from pathlib import Path
from typing import Annotated

import typer

from osbuild_compose.cli import complete
from osbuild_compose.cli.options import Force, Templates

Distro = Annotated[
    str | None, typer.Option("--distro", metavar="NAME", help="The distribution.", autocompletion=complete.releases)
]


def init(
    path: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to write; NAME.yaml if left out.")] = None,
    *,
    distro: Distro = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The image's name.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Your user in the image.")] = None,
    ssh_key: Annotated[
        Path | None, typer.Option("--ssh-key", metavar="FILE", help="A public key; one of ~/.ssh if left out.")
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="NAME", help="What to run, such as nginx; repeatable.")
    ] = None,
    templates: Templates = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Use defaults for the rest, ask nothing.")] = False,
    force: Force = False,
) -> None:
    """Write a first blueprint, asking what should be in it."""
    from osbuild_compose.cli import init as command

    given = command.Given(distro, name, user, ssh_key, service)
    command.init(path, given, templates or (), yes=yes, force=force)


def import_blueprint(
    blueprint: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="An osbuild or image-builder blueprint: TOML or JSON.", show_default=False),
    ],
    *,
    distro: Distro = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write, instead of standard output.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The image's name, instead of the file's.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if anything is not carried over as it is.")] = False,
    force: Force = False,
) -> None:
    """Turn an osbuild blueprint into one of ours.

    What cannot be carried over is reported.
    """
    from osbuild_compose.cli import import_blueprint as command

    command.import_blueprint(blueprint, distro, name, output, strict=strict, force=force)
