"""Generates the reference of the command line from the functions that are its commands."""

import inspect
from collections.abc import Iterator
from enum import EnumType
from typing import Any, get_args

import typer
from typer.models import ArgumentInfo

_HEAD = """\
# Command line

<!-- Made by `make docs` from osbuild_compose/cli/: change the help texts there, not this page. -->

`compose COMMAND --help` prints the same. Standard output is for results, standard error for progress and errors; with
`--json` results, and errors, are JSON.

Exit status: 0 done, 1 the build failed, 2 the input or the machine is not right, 130, 143 or 129 stopped by SIGINT,
SIGTERM or SIGHUP.
"""


def page() -> str:
    """The whole page in Markdown."""
    from osbuild_compose.cli.app import app  # noqa: PLC0415 - slow to import

    sections = sorted(_sections(app, "compose"))
    return "\n".join([_HEAD, *(text for _, text in sections)])


def _sections(app: typer.Typer, path: str) -> Iterator[tuple[str, str]]:
    for command in app.registered_commands:
        if command.callback and not command.hidden:
            name = f"{path} {command.name or command.callback.__name__.replace('_', '-')}"
            yield name, "\n".join(_command(name, command.callback)) + "\n"
    for group in app.registered_groups:
        if group.typer_instance:
            yield from _sections(group.typer_instance, f"{path} {group.name}")


def _command(name: str, callback: Any) -> Iterator[str]:
    parameters = inspect.signature(callback, eval_str=True).parameters.values()
    about = [(item, get_args(item.annotation)) for item in parameters if hasattr(item.annotation, "__metadata__")]
    arguments = [(item, kind, info) for item, (kind, info) in about if isinstance(info, ArgumentInfo)]
    options = [(item, kind, info) for item, (kind, info) in about if not isinstance(info, ArgumentInfo)]
    usage = [
        str(info.metavar) if item.default is inspect.Parameter.empty else f"[{str(info.metavar).strip('[]')}]"
        for item, _, info in arguments
    ]
    yield f"## {name}\n"
    yield "    " + " ".join([name, *usage, *(["[OPTION]..."] if options else [])]) + "\n"
    yield " ".join((callback.__doc__ or "").split()) + "\n"
    for _, kind, info in arguments:
        yield f"* `{str(info.metavar).strip('[]')}`: {_help(kind, info)}"
    for item, kind, info in options:
        # Within Annotated[], the first name takes the position of the default.
        first = [info.default] if isinstance(info.default, str) else []
        names = ", ".join([*first, *(info.param_decls or ())] or [f"--{item.name.replace('_', '-')}"])
        value = "" if kind is bool else f" {info.metavar or 'VALUE'}"
        yield f"* `{names}{value}`: {_help(kind, info)}"


def _help(kind: Any, info: Any) -> str:
    """The help text, with the possible values if it does not name them."""
    inner = [kind, *get_args(kind), *(deeper for part in get_args(kind) for deeper in get_args(part))]
    choices = [str(choice) for part in inner if isinstance(part, EnumType) for choice in list[Any](part)]
    text = str(info.help or "")
    if choices and not all(choice in text for choice in choices):
        text += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
    return text
