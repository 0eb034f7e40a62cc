"""Options that several commands share, each declared once.

A command takes a group of options as one parameter whose type is a dataclass; `grouped` makes each field an option.
"""
# ruff: noqa: PLC0415 - as in app.py

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from osbuild_compose.errors import InputError

if TYPE_CHECKING:
    from osbuild_compose.project import Project
    from osbuild_compose.project_file import ProjectFile
    from osbuild_compose.runner_client import RunnerSettings

Templates = Annotated[
    list[Path] | None,
    typer.Option(
        "--templates", metavar="DIR", help="Your own templates, searched before the built-in ones; repeatable."
    ),
]
Libdirs = Annotated[
    list[Path] | None,
    typer.Option("--libdir", metavar="DIR", help="Your own stages, searched before the built-in ones; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace existing files.")]
Store = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Where layers are kept; ~/.cache/osbuild-compose by default."),
]
DebugShell = Annotated[
    bool, typer.Option("--debug-shell", help="If a stage fails, open a shell in its sandbox on this terminal.")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show the output of stages.")]
OutputDirectory = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="DIR", help="Where the images go; the working directory by default."),
]


@dataclass
class BlueprintOptions:
    """How blueprints are read."""

    templates: Templates = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a value, such as disk.size=8GiB; repeatable."),
    ] = None
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", metavar="NAME", help="Apply this profile; repeatable. `a,b` makes images of both."),
    ] = None
    var: Annotated[
        list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="The value of a variable; repeatable.")
    ] = None
    libdir: Libdirs = None

    def project(self, sources: "SourceOptions | None" = None) -> "Project":
        """The project with these options. Raises InputError if they make several."""
        projects = self.projects(sources)
        if projects[1:]:
            each = ", ".join("+".join(project.profiles) for project in projects)
            raise InputError(f"this takes one profile at a time, not {each}", hint="choose one with --profile")
        return projects[0]

    def projects(self, sources: "SourceOptions | None" = None, file_name: str | None = None) -> "list[Project]":
        """The projects with these options: one for each choice of profiles."""
        from osbuild_compose import variants
        from osbuild_compose.project import Project

        sources, known = sources or SourceOptions(), project_file()
        named = self.profile or ([",".join(known.profiles)] if known.profiles else [])
        return [
            Project(
                templates=self.templates or known.templates,
                mirror=sources.mirror or known.mirror,
                security_mirror=sources.security_mirror or known.security_mirror,
                settings=self.settings or (),
                repos=sources.repo or (),
                repo_keys=sources.repo_key or (),
                libdirs=self.libdir or known.libdirs,
                profiles=profiles,
                variables=self.var or (),
                file_name=file_name or known.file_name,
            )
            for profiles in variants.choices(named)
        ]


@dataclass
class SourceOptions:
    """Where packages are read from while building."""

    mirror: Annotated[
        str | None,
        typer.Option("--mirror", metavar="[ARCHIVE=]URL", help="Where packages are read from; or COMPOSE_MIRROR."),
    ] = None
    security_mirror: Annotated[
        str | None,
        typer.Option(
            "--security-mirror",
            metavar="[ARCHIVE=]URL",
            help="The same for security updates; or COMPOSE_SECURITY_MIRROR.",
        ),
    ] = None
    repo: Annotated[
        list[str] | None,
        typer.Option(
            "--repo",
            metavar="NAME=URL",
            help="Read RPMs from here instead, or from the repositories of a .repo file; repeatable.",
        ),
    ] = None
    repo_key: Annotated[
        list[Path] | None,
        typer.Option("--repo-key", metavar="FILE", help="The key that signs the packages of --repo; repeatable."),
    ] = None


@dataclass
class LimitOptions:
    """What each stage may use."""

    stage_timeout: Annotated[
        str | None,
        typer.Option(
            "--stage-timeout", metavar="TIME", help="How long a stage may take, such as 30min; 2h by default."
        ),
    ] = None
    stage_memory: Annotated[
        str | None,
        typer.Option(
            "--stage-memory", metavar="SIZE", help="How much memory a stage may use; 80 % of the machine's by default."
        ),
    ] = None
    stage_processes: Annotated[
        int | None,
        typer.Option(
            "--stage-processes",
            metavar="N",
            min=1,
            help="How many processes a stage may have at a time; 4096 by default.",
        ),
    ] = None

    def arguments(self) -> tuple[str, ...]:
        """The runner's arguments for those that were given."""
        each = {
            "--stage-timeout": self.stage_timeout,
            "--stage-memory": self.stage_memory,
            "--stage-processes": self.stage_processes,
        }
        return tuple(word for name, value in each.items() if value is not None for word in (name, str(value)))


def runner_settings(
    store: Path | None,
    libdirs: list[Path] | None,
    jobs: int | None = None,
    debug_shell: bool = False,
    limits: LimitOptions | None = None,
) -> "RunnerSettings":
    """The runner's settings; the user's own store unless another one is named."""
    from osbuild_compose.runner_client import RunnerSettings

    more = limits.arguments() if limits else ()
    found = tuple(libdirs or project_file().libdirs)
    return RunnerSettings(store_directory(store), found, jobs, debug_shell, more)


def store_directory(store: Path | None) -> Path:
    """The store that was asked for, the project's, or the user's own: an absolute path."""
    from osbuild_compose.runner_client import default_store

    named = store if store is not None else project_file().store
    return named.absolute() if named is not None else default_store()


def project_file() -> "ProjectFile":
    """The project that the working directory is in. Raises InputError if its compose.yaml has errors."""
    return _project_of(Path.cwd(), tuple(os.environ.items()))


@cache
def _project_of(directory: Path, environment: tuple[tuple[str, str], ...]) -> "ProjectFile":
    """The project of a directory, whose file is read once however many options ask for it."""
    from osbuild_compose import project_file

    return project_file.find(directory, dict(environment))


def blueprints_of(given: list[Path] | None) -> Sequence[Path]:
    """The blueprints that were named, or the project's. Raises InputError if there are none."""
    if paths := given or project_file().blueprints:
        return paths
    raise InputError(
        "no blueprint is named", hint="give a blueprint's file, or list them under `blueprints` in compose.yaml"
    )


def output_directory(given: Path | None) -> Path:
    """Where images go: the directory that was named, the project's, or the working directory."""
    return given or project_file().directory or Path()


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with one option for each field of its parameters whose types are dataclasses."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        hint = hints[name]
        if not (isinstance(hint, type) and is_dataclass(hint)):
            parameters.append(parameter.replace(annotation=hint))
            continue
        groups[name] = hint
        parameters += [_option(field, get_type_hints(hint, include_extras=True)[field.name]) for field in fields(hint)]

    def run(**values: Any) -> None:
        made = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**values, **made)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _option(field: "Field[Any]", hint: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
