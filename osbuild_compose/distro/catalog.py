"""Finding distributions: directories with a distro.yaml, the user's own before the built-in ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from osbuild_compose import data
from osbuild_compose.distro import keys, model, repository, sources
from osbuild_compose.distro.family import family_of
from osbuild_compose.distro.family.protocol import Archive, Family
from osbuild_compose.distro.repository import Repository
from osbuild_compose.distro.sources import Sources
from osbuild_compose.document import doc_links
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError, TemplateError, TemplatesError, as_one
from osbuild_compose.problem import as_error


@dataclass(frozen=True)
class Catalog:
    """All distributions in `directories`, which are searched in their order, for templates too.

    A distro.yaml is parsed when one of its releases is asked for, so that errors in others do not prevent a build.
    """

    directories: tuple[Path, ...]

    @cached_property
    def sources(self) -> Sources:
        """The distro.yaml files."""
        return sources.find(self.directories)

    @cached_property
    def releases(self) -> "Releases":
        """The releases by their names, with the keys of their repositories not read yet."""
        return Releases(self.sources)

    def release(self, name: str) -> model.Release:
        """The release of that name with its keys read. Raises TemplateError when a file is wrong or missing."""
        return keys.read(self.releases[name])

    def firmware(self, name: str, architecture: str) -> tuple[str, ...]:
        """The firmware of the release's images on the architecture; () if unknown."""
        release = self.releases.get(name)
        found = release.architectures.get(architecture) if release else None
        return found.firmware if found else ()

    def read_all(self) -> dict[str, model.Release]:
        """Every release by its name. Raises TemplateError(s) with all errors in all distro.yaml files."""
        problems: list[InputError] = []
        for name in self.sources.paths:
            try:
                self.releases.of_distribution(name)
            except InputError as error:
                problems.append(error)
        if problems:
            raise _template_error(problems)
        return dict(self.releases)


class Releases(Mapping[str, model.Release]):
    """Releases by their names; a release is parsed only when it is looked up."""

    def __init__(self, files: Sources) -> None:
        self._files = files
        self._read: dict[str, dict[str, model.Release]] = {}

    @cached_property
    def _distributions(self) -> dict[str, str]:
        """The distribution of each release: the first that has one of that name. Files that are wrong have none."""
        found: dict[str, str] = {}
        for name in self._files.paths:
            try:
                releases = self._files.release_names(name)
            except InputError as error:
                self._unreadable.append(error)
            else:
                for release in releases:
                    found.setdefault(release, name)
        return found

    @cached_property
    def _unreadable(self) -> list[InputError]:
        return []

    def __iter__(self) -> Iterator[str]:
        return iter(self._distributions)

    def __len__(self) -> int:
        return len(self._distributions)

    def __contains__(self, name: object) -> bool:
        """Raises TemplateError for an unknown name where a distro.yaml cannot be read: it may have that release."""
        if name in self._distributions:
            return True
        if self._unreadable:
            raise _template_error(self._unreadable)
        return False

    def __getitem__(self, name: str) -> model.Release:
        """Raises KeyError for a name that is not known, TemplateError when the distro.yaml is wrong."""
        distribution = self._distributions[name]
        try:
            return self.of_distribution(distribution)[name]
        except InputError as error:
            raise _template_error([error]) from None

    def distribution(self, name: str) -> str:
        """The distribution that the release belongs to. Raises KeyError for a name that is not known."""
        return self._distributions[name]

    def of_distribution(self, name: str) -> dict[str, model.Release]:
        """The releases of a distribution by their names. Raises InputError when its distro.yaml is wrong."""
        if name not in self._read:
            self._read[name] = {release.name: release for release in _releases(name, self._files)}
        return self._read[name]


def built_in() -> Path:
    """The directory of the templates that come with the program."""
    return data.directory("templates")


def find(own: Sequence[Path] = ()) -> Catalog:
    """The distributions in the directories `own` and the built-in one; the first that has a name wins.

    Raises InputError when one of `own` is no directory.
    """
    for directory in own:
        if not directory.is_dir():
            raise InputError(f"there is no directory {directory}", hint="--templates names a directory of templates")
    return Catalog((*own, built_in()))


def _template_error(problems: Sequence[InputError]) -> TemplateError:
    """The problems as TemplateErrors: they are not in the blueprint."""
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
    # An inherited mistake is reported only once, where it is written.
    errors = list({(str(error.location), error.brief): error for error in errors}.values())
    return as_one(errors, TemplatesError)


def _releases(name: str, files: Sources) -> list[model.Release]:
    content = files.resolved(name)
    if not schema_files.is_valid(content, "distro"):
        raise as_error(schema_files.problems(replace(files.document(name), data=content), "distro"))
    architectures = {arch: _architecture(item) for arch, item in content["architectures"].items()}
    archives = {archive: _archive(item) for archive, item in content.get("archives", {}).items()}
    found: list[model.Release] = []
    for release, item in content["releases"].items():
        repositories = _repositories(content, release)
        family = family_of(content.get("family"), repositories)
        if wrong := _wrong_repositories(release, repositories, family, archives):
            brief, hint = wrong
            raise InputError(brief, hint=hint, location=files.document(name).at_key(["releases", release]))
        found.append(
            model.Release(
                name=release,
                title=item["title"],
                template=content["template"],
                family=family,
                architectures=architectures,
                repositories=repositories,
                archives=archives,
                packages=(*content.get("packages", ()), *item.get("packages", ())),
                build_packages=tuple(content.get("build_packages", ())),
                services=content.get("services", {}),
                enabled_services=tuple(content.get("enabled_services", ())),
                variables={**content.get("variables", {}), **item.get("variables", {})},
            )
        )
    return found


def _architecture(item: Mapping[str, Any]) -> model.Architecture:
    lists = {key: tuple(item[key]) for key in ("bootloader", "uefi", "systemd_boot", "firmware") if key in item}
    return model.Architecture(item["name"], item["kernel"], item.get("hardware_kernel"), **lists)


def _archive(item: Mapping[str, Any]) -> Archive:
    return Archive(item.get("default", False), tuple(item.get("suites", ())), item.get("keyring", ""))


def _repositories(content: Mapping[str, Any], release: str) -> tuple[Repository, ...]:
    """The release's repositories, or else the distribution's, each with its own keys, or else the release's."""
    own = content["releases"][release]
    items = own.get("repositories", content.get("repositories", ()))
    shared = own.get("keys", ())
    return tuple(repository.from_fields({**item, "keys": item.get("keys") or shared}) for item in items)


def _wrong_repositories(
    release: str, repositories: Sequence[Repository], family: Family, archives: Mapping[str, Archive]
) -> tuple[str, str] | None:
    """Why a release of the family cannot have these repositories, with a hint; None if it can."""
    if not repositories:
        return f"`{release}` lacks the key `repositories`", ""
    if family.is_signed and not all(item.keys for item in repositories):
        return f"`{release}` has a repository without `keys`", ""
    if len({type(item) for item in repositories}) > 1:
        return f"`{release}` has repositories of two forms, with `id` and with `suites`", ""
    if not isinstance(repositories[0], family.form):
        what = f"`{release}` has repositories of another form than its family, {family.name}"
        return what, f"such a repository has {family.form_keys}"
    unknown = [item.archive for item in repositories if item.archive is not None and item.archive not in archives]
    if unknown:
        what = f"`{release}` has a repository of the archive {unknown[0]}, which `archives` lacks"
        return what, did_you_mean(unknown[0], archives)
    return None
