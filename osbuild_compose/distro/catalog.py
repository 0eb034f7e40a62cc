"""Finding distributions: directories with a distro.yaml, the user's own before the built-in ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osbuild_compose import data
from osbuild_compose.distro import keys, model
from osbuild_compose.distro.inherit import FILE, Sources
from osbuild_compose.distro.repository import ARMOUR, DebRepository, Repository, Role, RpmRepository
from osbuild_compose.document import doc_links, reader
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.errors import InputError, Location, TemplateError, TemplatesError, as_one
from osbuild_compose.problem import as_error


@dataclass(frozen=True)
class Catalog:
    """All distributions that were found. `directories` are searched in their order, for templates too."""

    directories: tuple[Path, ...]
    releases: Mapping[str, model.Release]

    def release(self, name: str) -> model.Release:
        """The release of that name with its keys read. Raises TemplateError when one cannot be had."""
        return keys.read(self.releases[name])


def built_in() -> Path:
    """The directory of the templates that come with the program."""
    return data.directory("templates")


def find(own: Sequence[Path] = ()) -> Catalog:
    """All distributions in the directories `own` and the built-in one; the first that has a name wins.

    Raises InputError when one of `own` is no directory, TemplateError when a distro.yaml is wrong.
    """
    for directory in own:
        if not directory.is_dir():
            raise InputError(f"there is no directory {directory}", hint="--templates wants a directory of templates")
    directories = (*own, built_in())
    releases: dict[str, model.Release] = {}
    problems: list[InputError] = []
    try:
        sources = sources_in(directories)
    except InputError as error:
        raise _of_templates([error]) from None
    for name in sources.documents:
        try:
            for release in _releases(name, sources):
                releases.setdefault(release.name, release)
        except InputError as error:
            problems.append(error)
    if problems:
        raise _of_templates(problems)
    return Catalog(directories, releases)


def _of_templates(problems: Sequence[InputError]) -> TemplateError:
    """The same, as what it is: not the blueprint's fault."""
    errors = [
        TemplateError(
            one.brief,
            hint=one.hint,
            location=one.location,
            path=one.path,
            expected=one.expected,
            suggestion=one.suggestion,
            reference=one.reference or (doc_links.DISTRO if one.location else ""),
        )
        for problem in problems
        for one in problem.each()
    ]
    # What one distribution inherits from another is wrong in both.
    errors = list({(str(error.location), error.brief): error for error in errors}.values())
    return as_one(errors, TemplatesError)


def sources_in(directories: Sequence[Path]) -> Sources:
    """All distro.yaml in the directories. Raises InputError for one that cannot be read."""
    found: dict[str, tuple[Document, ...]] = {}
    for directory in directories:
        for path in sorted(directory.glob(f"*/{FILE}")):
            found[path.parent.name] = (*found.get(path.parent.name, ()), _with_absolute_keys(reader.read(path)))
    return Sources(directories, found)


def _with_absolute_keys(document: Document) -> Document:
    """Key files are relative to the distro.yaml that names them, also when another one inherits it."""
    directory = Path(document.file).parent

    def walk(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: walk(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item, name) for item in value]
        is_file = name == "keys" and isinstance(value, str) and ARMOUR not in value
        return str(directory / value) if is_file else value

    return replace(document, data=walk(document.data))


def _releases(name: str, sources: Sources) -> list[model.Release]:
    document = replace(sources.documents[name][0], data=sources.resolved(name))
    if problems := schema_files.problems(document, "distro"):
        raise as_error(problems)
    content = document.data
    architectures = {arch: _architecture(item) for arch, item in content["architectures"].items()}
    return [
        model.Release(
            name=release,
            title=item["title"],
            template=content["template"],
            architectures=architectures,
            repositories=_repositories(content, release, document.at_key(["releases", release])),
            packages=(*content.get("packages", ()), *item.get("packages", ())),
            build_packages=tuple(content.get("build_packages", ())),
            services=content.get("services", {}),
            enabled_services=tuple(content.get("enabled_services", ())),
            variables={**content.get("variables", {}), **item.get("variables", {})},
        )
        for release, item in content["releases"].items()
    ]


def _architecture(item: Mapping[str, Any]) -> model.Architecture:
    lists = {key: tuple(item[key]) for key in ("bootloader", "uefi", "systemd_boot", "firmware") if key in item}
    return model.Architecture(item["name"], item["kernel"], **lists)


def _repositories(content: Mapping[str, Any], release: str, place: Location) -> tuple[Repository, ...]:
    """The release's repositories, or else the distribution's, each with its own keys, or else the release's."""
    found: list[Repository] = []
    own = content["releases"][release]
    for item in own.get("repositories", content.get("repositories", ())):
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in item.items()
        }
        fields["keys"] = fields.get("keys") or tuple(own.get("keys", ()))
        if "role" in fields:
            found.append(DebRepository(**{**fields, "role": Role(fields["role"])}))
        else:
            found.append(RpmRepository(**fields))
    if not found:
        raise InputError(f"`{release}` lacks the key `repositories`", location=place)
    if not all(repository.keys for repository in found):
        raise InputError(f"`{release}` has a repository without `keys`", location=place)
    if len({type(repository) for repository in found}) > 1:
        raise InputError(f"`{release}` has repositories of two kinds, Debian's and RPM", location=place)
    return tuple(found)
