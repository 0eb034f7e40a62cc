"""The options of `compose stages ...`, `compose schema` and `compose completion`."""
# ruff: noqa: PLC0415 - as in app.py

from enum import StrEnum
from typing import Annotated

import typer

from osbuild_compose.cli import complete
from osbuild_compose.cli.options import Json, Libdirs

stages = typer.Typer(help="Show the stages and assemblers, and their options.")

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A stage or assembler.", autocompletion=complete.programs, show_default=False),
]
Shell = StrEnum("Shell", ["bash", "zsh", "fish"])
SchemaKind = StrEnum("SchemaKind", ["blueprint", "distro", "stage", "assembler"])


@stages.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Show the stages and assemblers, and their options."""
    if context.invoked_subcommand is None:
        list_stages()


@stages.command("list")
def list_stages(libdir: Libdirs = None, json: Json = False) -> None:
    """List the stages and assemblers."""
    from osbuild_compose.cli import stages as command

    command.list_all(libdir or (), json)


@stages.command()
def show(name: Name, libdir: Libdirs = None, json: Json = False) -> None:
    """Show what a stage or assembler does.

    Its options are shown, too; with --json its meta.json.
    """
    from osbuild_compose.cli import stages as command

    command.show(name, libdir or (), json)


def schema(
    what: Annotated[
        SchemaKind, typer.Argument(metavar="WHAT", help="blueprint, distro, stage or assembler.")
    ] = SchemaKind.blueprint,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which stage or assembler.", autocompletion=complete.programs)
    ] = None,
    libdir: Libdirs = None,
) -> None:
    """Print a JSON Schema of blueprints or others.

    Others are distro.yaml, and the options of a stage or assembler.
    """
    from osbuild_compose.cli import stages as command

    command.schema(str(what), name, libdir or ())


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False)],
) -> None:
    """Print the script for a shell to complete words.

    Use it like this: eval "$(compose completion bash)"
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    print(get_completion_script(prog_name="compose", complete_var=complete.VARIABLE, shell=str(shell)))
