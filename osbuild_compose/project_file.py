"""compose.yaml: what the commands use in a directory and those below it, unless an option says otherwise.

For each key there is a variable of the environment, which comes before the file: a person's, or a CI job's.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osbuild_compose.compile import file_names
from osbuild_compose.document import reader
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.errors import InputError
from osbuild_compose.problem import as_error

NAME = "compose.yaml"
_LISTS = {"COMPOSE_BLUEPRINTS": "blueprints", "COMPOSE_TEMPLATES": "templates", "COMPOSE_LIBDIRS": "libdirs"}
_MIRRORS = {"COMPOSE_MIRROR": "mirror", "COMPOSE_SECURITY_MIRROR": "security_mirror"}  # Project reads them itself
_PATHS = {"COMPOSE_STORE": "store", "COMPOSE_OUTPUT": "directory"}
PROFILES = "COMPOSE_PROFILES"


@dataclass(frozen=True)
class ProjectFile:
    """The values of compose.yaml and the environment; None or an empty tuple where neither has one.

    file is the compose.yaml, if there is one. Paths are relative to the working directory. file_name is the pattern of
    compile/file_names.py.
    """

    file: Path | None = None
    blueprints: tuple[Path, ...] = ()
    templates: tuple[Path, ...] = ()
    libdirs: tuple[Path, ...] = ()
    store: Path | None = None
    mirror: str | None = None
    security_mirror: str | None = None
    profiles: tuple[str, ...] = ()
    directory: Path | None = None
    file_name: str | None = None


def find(directory: Path, environment: Mapping[str, str]) -> ProjectFile:
    """The project that `directory` is in: of the nearest compose.yaml, in it or above it, and of the environment.

    Raises InputError for a file with errors, or of another user: it names directories with stages, which are run.
    """
    place = directory.absolute()
    documents = (_document(above / NAME) for above in (place, *place.parents))
    found = next(filter(None, documents), None)
    return _with_environment(_read(found, place) if found else ProjectFile(), environment)


def _document(file: Path) -> Document | None:
    """The project in a file; None without one, or for one of Docker Compose's, which has files of that name, too."""
    hint = "it holds for all directories below it; remove it"
    try:
        link, info = file.lstat(), file.stat()
    except OSError as error:
        if file.is_symlink():  # somebody wants a project here
            raise InputError(f"cannot read {file}: {error.strerror}", hint=hint) from None
        return None
    # Paths are relative to a link, not to its target: with a link, others could choose the directory of a file of ours.
    if any(owner not in (os.geteuid(), 0) for owner in (link.st_uid, info.st_uid)):
        raise InputError(f"{file} belongs to another user", hint=hint)
    if stat.S_ISDIR(info.st_mode):
        raise InputError(f"{file} is a directory", hint="a file of this name has the options of a project; rename it")
    try:
        document = reader.read(file, regular=True)
    except reader.EmptyError as error:
        raise InputError(
            error.brief, hint="remove it, or write: blueprints: [web.yaml]", location=error.location
        ) from None
    return None if isinstance(document.data, dict) and "services" in document.data else document


def _read(document: Document, directory: Path) -> ProjectFile:
    file = Path(document.file)
    if not isinstance(document.data, dict):
        raise InputError("a project must be a mapping: lines of the form key: value", location=document.at_value(()))
    if problems := schema_files.problems(document, "project"):
        raise as_error(problems)
    data, output = document.data, document.data.get("output", {})
    base = Path(os.path.relpath(file.parent, directory))

    def paths(key: str) -> tuple[Path, ...]:
        return tuple(base / name for name in data.get(key, ()))

    def path(values: Mapping[str, Any], key: str) -> Path | None:
        return base / values[key] if key in values else None

    if "name" in output:
        try:
            file_names.check(output["name"])
        except InputError as error:
            raise InputError(error.brief, hint=error.hint, location=document.at_value(("output", "name"))) from None

    return ProjectFile(
        file=file,
        blueprints=_blueprints(document, base),
        templates=paths("templates"),
        libdirs=paths("libdirs"),
        store=path(data, "store"),
        mirror=data.get("mirror"),
        security_mirror=data.get("security_mirror"),
        profiles=tuple(data.get("profiles", ())),
        directory=path(output, "directory"),
        file_name=output.get("name"),
    )


def _blueprints(document: Document, base: Path) -> tuple[Path, ...]:
    """The blueprints of a file."""
    found: dict[Path, None] = {}
    for number, name in enumerate(document.data.get("blueprints", ())):
        try:
            found |= dict.fromkeys(_matching(base, name))
        except InputError as error:
            place = document.at_value(("blueprints", number))
            raise InputError(error.brief, hint=error.hint or "paths are relative to the file", location=place) from None
    return tuple(found)


def _matching(base: Path, name: str) -> list[Path]:
    """The files of that name; `*` and `?` in it stand for what names have in their place, but for the project's own."""
    if not set(name) & set("*?["):
        return [base / name]
    try:
        found = base.glob(name) if not name.startswith("/") else Path("/").glob(name.lstrip("/"))
        matching = sorted(path for path in found if path.name != NAME)
    except ValueError:
        raise InputError(f"{name} is not a pattern", hint="`**` is a directory: **/*.yaml") from None
    except OSError as error:  # such as a directory that is removed meanwhile
        raise InputError(f"cannot look for {name}: {error.filename}: {error.strerror}") from None
    if not matching:
        raise InputError(f"no file matches {name}")
    return matching


def _with_environment(project: ProjectFile, environment: Mapping[str, str]) -> ProjectFile:
    """The project with the values of COMPOSE_ variables; one that is empty is as if it was not set."""
    values: dict[str, Any] = {}
    for variable, key in _LISTS.items():
        if names := _split(environment.get(variable, ""), os.pathsep):
            values[key] = tuple(map(Path, names))
    if "blueprints" in values:
        each = [path for name in values["blueprints"] for path in _of_environment("COMPOSE_BLUEPRINTS", str(name))]
        values["blueprints"] = tuple(dict.fromkeys(each))
    for variable, key in _MIRRORS.items():
        if environment.get(variable):
            values[key] = None
    if text := environment.get("COMPOSE_NAME"):
        values["file_name"] = text
    for variable, key in _PATHS.items():
        if text := environment.get(variable):
            values[key] = Path(text)
    if names := _split(environment.get(PROFILES, ""), ","):
        values["profiles"] = tuple(names)
    return replace(project, **values)


def _of_environment(variable: str, name: str) -> list[Path]:
    try:
        return _matching(Path(), name)
    except InputError as error:
        raise InputError(f"{variable}: {error.brief}", hint=error.hint) from None


def _split(text: str, separator: str) -> Sequence[str]:
    return [part for part in text.split(separator) if part]
