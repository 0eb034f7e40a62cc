"""Options that several groups of commands have."""

from pathlib import Path
from typing import Annotated

import typer

Templates = Annotated[
    list[Path] | None,
    typer.Option("--templates", metavar="DIR", help="Templates of your own, before the built-in ones; repeatable."),
]
Libdirs = Annotated[
    list[Path] | None,
    typer.Option("--libdir", metavar="DIR", help="Stages of your own, before the built-in ones; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
