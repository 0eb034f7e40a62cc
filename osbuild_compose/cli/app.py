"""The commands and their options. Each does its work in a module of its own, imported when it runs."""
# Imports inside functions are this module's purpose: `compose --help` must not wait for libraries it does not use.
# ruff: noqa: PLC0415

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.cli import commands_cache, commands_stages, commands_start, commands_templates
from osbuild_compose.cli.options import Json, Libdirs, Templates
from osbuild_compose.cli.store_option import Store, store_directory
from osbuild_compose.firmware import Firmware

if TYPE_CHECKING:
    from osbuild_compose.runner_client import Settings

app = typer.Typer(
    help="One YAML blueprint to a bootable, reproducible disk image.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.add_typer(commands_cache.app, name="cache")
app.add_typer(commands_templates.app, name="templates")
app.add_typer(commands_stages.stages, name="stages")
app.command("init")(commands_start.init)
app.command("import")(commands_start.import_blueprint)
app.command("schema")(commands_stages.schema)
app.command("completion")(commands_stages.completion)

Blueprints = Annotated[list[Path], typer.Argument(metavar="BLUEPRINT...", help="Blueprint files.", show_default=False)]
OneBlueprint = Annotated[Path, typer.Argument(metavar="BLUEPRINT", help="A blueprint file.", show_default=False)]
OutputDirectory = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the images go.")]
Formats = Annotated[
    list[Format] | None,
    typer.Option("-f", "--format", metavar="FORMAT", help="Make this instead of the blueprint's formats; repeatable."),
]
OneFormat = Annotated[
    Format | None,
    typer.Option("-f", "--format", metavar="FORMAT", help="Instead of the blueprint's formats."),
]
Mirror = Annotated[
    str | None,
    typer.Option("--mirror", metavar="[ARCHIVE=]URL", help="Where packages are read from; or COMPOSE_MIRROR."),
]
SecurityMirror = Annotated[
    str | None,
    typer.Option(
        "--security-mirror", metavar="[ARCHIVE=]URL", help="The same for security updates; or COMPOSE_SECURITY_MIRROR."
    ),
]
Repo = Annotated[
    list[str] | None,
    typer.Option(
        "--repo", metavar="NAME=URL", help="Read RPMs from here instead, or from those of a .repo file; repeatable."
    ),
]
RepoKey = Annotated[
    list[Path] | None,
    typer.Option("--repo-key", metavar="FILE", help="The key that signs what --repo has; repeatable."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a value, such as disk.size=8GiB; repeatable."),
]
Profile = Annotated[
    list[str] | None, typer.Option("--profile", metavar="NAME", help="Put this profile on top; repeatable.")
]
Var = Annotated[
    list[str] | None, typer.Option("--var", metavar="NAME=VALUE", help="The value of a variable; repeatable.")
]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", metavar="N", min=1, help="How many images are built at a time.")
]
DebugShell = Annotated[
    bool, typer.Option("--debug-shell", help="When a stage fails, a shell in its sandbox on this terminal.")
]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show what stages print.")]


@app.command()
def build(
    blueprints: Blueprints,
    *,
    output: OutputDirectory = Path(),
    formats: Formats = None,
    store: Store = None,
    mirror: Mirror = None,
    security_mirror: SecurityMirror = None,
    repo: Repo = None,
    repo_key: RepoKey = None,
    templates: Templates = None,
    settings: Set = None,
    profile: Profile = None,
    var: Var = None,
    libdir: Libdirs = None,
    jobs: Jobs = None,
    debug_shell: DebugShell = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make images; their paths go to standard output."""
    from osbuild_compose.cli import build as command
    from osbuild_compose.project import Project

    project = Project(
        templates or (),
        mirror,
        security_mirror,
        settings or (),
        repo or (),
        repo_key or (),
        libdir or (),
        profile or (),
        var or (),
    )
    wanted = [str(item) for item in formats or ()]
    where = _settings(store, libdir, jobs, debug_shell)
    how = command.How(output, where, as_json=json, verbose=verbose, typed=sys.argv[1:])
    command.build(project, blueprints, wanted, how)


@app.command()
def render(
    blueprint: OneBlueprint,
    *,
    image_format: OneFormat = None,
    mirror: Mirror = None,
    security_mirror: SecurityMirror = None,
    repo: Repo = None,
    repo_key: RepoKey = None,
    templates: Templates = None,
    settings: Set = None,
    profile: Profile = None,
    var: Var = None,
    libdir: Libdirs = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell which template and which lines of the blueprint made each stage.")
    ] = False,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the merged blueprint instead, and where each value comes from.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Errors and what --explain tells as JSON.")] = False,
) -> None:
    """Print the pipeline JSON that a blueprint stands for."""
    from osbuild_compose.cli import explain as explaining
    from osbuild_compose.cli import queries as command
    from osbuild_compose.cli.error_output import errors_as_json
    from osbuild_compose.project import Project

    project = Project(
        templates or (),
        mirror,
        security_mirror,
        settings or (),
        repo or (),
        repo_key or (),
        libdir or (),
        profile or (),
        var or (),
    )
    with errors_as_json(json):
        if resolved:
            command.resolved(project, blueprint)
        elif explain:
            explaining.explain(project, blueprint, image_format, json)
        else:
            command.render(project, blueprint, image_format)


@app.command()
def check(
    blueprints: Blueprints,
    *,
    templates: Templates = None,
    settings: Set = None,
    profile: Profile = None,
    var: Var = None,
    libdir: Libdirs = None,
    json: Json = False,
) -> None:
    """Tell whether blueprints are right, without building anything."""
    from osbuild_compose.cli import queries as command
    from osbuild_compose.cli.error_output import errors_as_json
    from osbuild_compose.project import Project

    project = Project(
        templates or (), settings=settings or (), libdirs=libdir or (), profiles=profile or (), variables=var or ()
    )
    with errors_as_json(json):
        command.check(project, blueprints, json)


@app.command()
def plan(
    blueprint: OneBlueprint,
    *,
    image_format: OneFormat = None,
    store: Store = None,
    mirror: Mirror = None,
    security_mirror: SecurityMirror = None,
    repo: Repo = None,
    repo_key: RepoKey = None,
    templates: Templates = None,
    settings: Set = None,
    profile: Profile = None,
    var: Var = None,
    libdir: Libdirs = None,
    json: Json = False,
) -> None:
    """Tell what a build would run, and why.

    What it would take from the store is told as well.
    """
    from osbuild_compose.cli import queries as command
    from osbuild_compose.cli.error_output import errors_as_json
    from osbuild_compose.project import Project

    project = Project(
        templates or (),
        mirror,
        security_mirror,
        settings or (),
        repo or (),
        repo_key or (),
        libdir or (),
        profile or (),
        var or (),
    )
    with errors_as_json(json):
        command.plan(project, blueprint, image_format, _settings(store, libdir), json)


@app.command()
def run(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="Pipeline JSON, or - for standard input.")],
    *,
    output: OutputDirectory = Path(),
    store: Store = None,
    libdir: Libdirs = None,
    debug_shell: DebugShell = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run a pipeline that is JSON already."""
    from osbuild_compose.cli import build as command

    where = _settings(store, libdir, debug_shell=debug_shell)
    command.run(pipeline, command.How(output, where, as_json=json, verbose=verbose, typed=sys.argv[1:]))


@app.command()
def distros(templates: Templates = None, json: Json = False) -> None:
    """List the distributions a blueprint can name."""
    from osbuild_compose.cli import queries as command
    from osbuild_compose.project import Project

    command.distros(Project(templates or ()), json)


@app.command()
def boot(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A disk image.", show_default=False)],
    *,
    memory: Annotated[int, typer.Option(metavar="MIB", min=64, help="How much memory the machine has.")] = 1024,
    cpus: Annotated[int | None, typer.Option(metavar="N", min=1, help="How many processors.")] = None,
    port: Annotated[
        list[str] | None,
        typer.Option(
            "-p", "--port", metavar="HOST:GUEST", help="Reach a port of the machine at 127.0.0.1; repeatable."
        ),
    ] = None,
    firmware: Annotated[
        Firmware | None,
        typer.Option(
            help="What starts the image: BIOS, UEFI or UEFI with Secure Boot. By default what the image is made for, "
            "BIOS when it is for both.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Boot an image in QEMU, its serial console on this terminal."""
    from osbuild_compose.cli import boot as command

    command.boot(image, memory, cpus, port or (), firmware)


@app.command("inspect")
def inspect_image(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="An image, or the directory of a tree.", show_default=False),
    ],
    *,
    json: Json = False,
) -> None:
    """Tell what is in an image, without mounting it."""
    from osbuild_compose.cli import inspect as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        command.show(image, json)


def _settings(
    store: Path | None, libdirs: list[Path] | None, jobs: int | None = None, debug_shell: bool = False
) -> "Settings":
    from osbuild_compose.runner_client import Settings

    return Settings(store_directory(store), tuple(libdirs or ()), jobs, debug_shell)
