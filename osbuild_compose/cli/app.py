"""The commands and their options; each command's module is imported when it runs."""
# Imports are inside functions, so that `compose --help` does not wait for libraries that it does not use.
# ruff: noqa: PLC0415

import sys
from pathlib import Path
from typing import Annotated

import typer

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.cli import commands_cache, commands_stages, commands_start, commands_templates, complete
from osbuild_compose.cli.options import (
    BlueprintOptions,
    DebugShell,
    Json,
    Libdirs,
    LimitOptions,
    OutputDirectory,
    SourceOptions,
    Store,
    Templates,
    Verbose,
    blueprints_of,
    grouped,
    output_directory,
    runner_settings,
    store_directory,
)
from osbuild_compose.firmware import Firmware
from osbuild_compose.version import __version__

app = typer.Typer(
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

Blueprints = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[BLUEPRINT...]", help="Blueprint files; those of compose.yaml by default.", show_default=False
    ),
]
FileName = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="What image files are called, such as '${name}-${version}'; the blueprint's name and profiles by default.",
    ),
]
OneBlueprint = Annotated[Path, typer.Argument(metavar="BLUEPRINT", help="A blueprint file.", show_default=False)]


def _format(word: str) -> Format:
    """The format of that name, for which other tools may have another one."""
    from osbuild_compose.document.other_tools import about_value

    try:
        return Format(word)
    except ValueError:
        advice = about_value("formats", word)
        hint = advice.hint if advice else f"it is one of: {', '.join(Format)}"
        raise typer.BadParameter(f"there is no format {word}; {hint}") from None


Formats = Annotated[
    list[Format] | None,
    typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        parser=_format,
        autocompletion=complete.formats,
        help="Build this instead of the blueprint's formats; repeatable.",
    ),
]
OneFormat = Annotated[
    Format | None,
    typer.Option(
        "-f",
        "--format",
        metavar="FORMAT",
        parser=_format,
        autocompletion=complete.formats,
        help="Instead of the blueprint's formats.",
    ),
]
Jobs = Annotated[
    int | None, typer.Option("-j", "--jobs", metavar="N", min=1, help="How many images are built at a time.")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"compose {__version__}")
        raise typer.Exit


@app.callback()
def compose(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version, show_default=False),
    ] = False,
) -> None:
    """One YAML blueprint to a bootable, reproducible disk image."""


@app.command()
@grouped
def build(
    blueprints: Blueprints = None,
    *,
    output: OutputDirectory = None,
    name: FileName = None,
    formats: Formats = None,
    store: Store = None,
    sources: SourceOptions,
    options: BlueprintOptions,
    jobs: Jobs = None,
    limits: LimitOptions,
    debug_shell: DebugShell = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Build images; their paths are printed to standard output."""
    from osbuild_compose.cli import build as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        projects, paths = options.projects(sources, name), blueprints_of(blueprints)
        runner = runner_settings(store, options.libdir, jobs, debug_shell, limits)
        directory = output_directory(output)
    shown = command.OutputOptions(directory, runner, as_json=json, verbose=verbose, typed=sys.argv[1:])
    command.build(projects, paths, formats or (), shown)


@app.command()
@grouped
def render(
    blueprint: OneBlueprint,
    *,
    image_format: OneFormat = None,
    sources: SourceOptions,
    options: BlueprintOptions,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show which template and which lines of the blueprint made each stage.")
    ] = False,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the merged blueprint instead, with the origin of each value.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print errors and the output of --explain as JSON.")] = False,
) -> None:
    """Print the pipeline that a blueprint stands for, as JSON."""
    from osbuild_compose.cli import explain as explaining
    from osbuild_compose.cli import queries as command
    from osbuild_compose.cli.error_output import errors_as_json, load

    with errors_as_json(json):
        project = options.project(sources)
        loaded = load(project, blueprint)
        formats = [image_format] if image_format else []
        if resolved:
            command.resolved(loaded)
        elif explain:
            explaining.explain(project, loaded, formats, json)
        else:
            command.render(project, loaded, formats)


@app.command()
@grouped
def check(
    blueprints: Blueprints = None,
    *,
    options: BlueprintOptions,
    json: Json = False,
) -> None:
    """Check blueprints, without building anything."""
    from osbuild_compose.cli import queries as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        command.check(options.projects(), blueprints_of(blueprints), json)


@app.command()
@grouped
def plan(
    blueprints: Blueprints = None,
    *,
    image_format: OneFormat = None,
    store: Store = None,
    sources: SourceOptions,
    options: BlueprintOptions,
    json: Json = False,
) -> None:
    """Show what a build would run, why, and how long that takes.

    What it would take from the store is shown, too.
    """
    from osbuild_compose.cli import plan as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        formats = [image_format] if image_format else []
        projects, paths = options.projects(sources), blueprints_of(blueprints)
        command.plan(projects, paths, formats, runner_settings(store, options.libdir), json)


@app.command()
@grouped
def run(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="Pipeline JSON, or - for standard input.")],
    *,
    output: OutputDirectory = None,
    store: Store = None,
    libdir: Libdirs = None,
    limits: LimitOptions,
    debug_shell: DebugShell = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run a pipeline that is already JSON."""
    from osbuild_compose.cli import build as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        runner, directory = runner_settings(store, libdir, None, debug_shell, limits), output_directory(output)
    command.run(pipeline, command.OutputOptions(directory, runner, as_json=json, verbose=verbose, typed=sys.argv[1:]))


@app.command()
def distros(templates: Templates = None, json: Json = False) -> None:
    """List the distributions a blueprint can name."""
    from osbuild_compose.cli import queries as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        command.distros(BlueprintOptions(templates=templates).projects()[0], json)


@app.command()
def doctor(store: Store = None, json: Json = False) -> None:
    """Show what this machine lacks, and how to mend it.

    Looked at is what building and booting images need. The exit status is 1 if nothing can be built.
    """
    from osbuild_compose.cli import doctor as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        command.doctor(store_directory(store), json)


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
    """Show what is in an image, without mounting it."""
    from osbuild_compose.cli import inspect as command
    from osbuild_compose.cli.error_output import errors_as_json

    with errors_as_json(json):
        command.show(image, json)
