"""Finding distributions: directories with a distro.yaml, the user's own before the built-in ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osbuild_compose import data
from osbuild_compose.distro import model
from osbuild_compose.document import read, schema
from osbuild_compose.document.read import Document
from osbuild_compose.errors import ComposeError, DocumentError, InputError, TemplateError

_FILE = "distro.yaml"


@dataclass(frozen=True)
class Catalog:
    """All distributions that were found. `directories` are searched in their order, for templates too."""

    directories: tuple[Path, ...]
    releases: Mapping[str, model.Release]


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
    try:
        documents = _documents(directories)
        releases: dict[str, model.Release] = {}
        for name in documents:
            for release in _releases(name, documents):
                releases.setdefault(release.name, release)
    except DocumentError as error:
        raise DistroError(error.errors) from None
    except InputError as error:
        raise TemplateError(error.brief, hint=error.hint, location=error.location) from None
    return Catalog(directories, releases)


class DistroError(TemplateError):
    """All errors of a distro.yaml at once."""

    def __init__(self, errors: Sequence[ComposeError]) -> None:
        super().__init__(errors[0].brief, hint=errors[0].hint, location=errors[0].location)
        self.errors = tuple(errors)

    def each(self) -> tuple[ComposeError, ...]:
        """All errors of the file."""
        return self.errors


def _documents(directories: Sequence[Path]) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for directory in directories:
        for path in sorted(directory.glob(f"*/{_FILE}")):
            if path.parent.name not in found:
                found[path.parent.name] = _with_absolute_keys(read.read(path))
    return found


def _with_absolute_keys(document: Document) -> Document:
    """Key files are relative to the distro.yaml that names them, also when another one inherits it."""
    directory = Path(document.file).parent

    def walk(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: walk(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [str(directory / item) if name == "keys" and isinstance(item, str) else walk(item) for item in value]
        return value

    return replace(document, data=walk(document.data))


def _releases(name: str, documents: Mapping[str, Document]) -> list[model.Release]:
    document = replace(documents[name], data=_inherited(name, documents, ()))
    if problems := schema.problems(document, "distro"):
        raise DocumentError(problems)
    content = document.data
    architectures = {
        arch: model.Architecture(item["name"], item["kernel"], tuple(item.get("bootloader", ())))
        for arch, item in content["architectures"].items()
    }
    return [
        model.Release(
            name=release,
            title=item["title"],
            template=content.get("template", f"{name}/pipeline.yaml.j2"),
            architectures=architectures,
            repositories=tuple(_repository(repository) for repository in item["repositories"]),
            packages=(*content.get("packages", ()), *item.get("packages", ())),
            services=content.get("services", {}),
            enabled_services=tuple(content.get("enabled_services", ())),
            variables={**content.get("variables", {}), **item.get("variables", {})},
        )
        for release, item in content["releases"].items()
    ]


def _inherited(name: str, documents: Mapping[str, Document], heirs: tuple[str, ...]) -> Any:
    """The data of distro.yaml `name` on top of what it inherits."""
    document = documents[name]
    own = document.data
    if not isinstance(own, dict) or not isinstance(parent := own.get("inherits"), str):
        return own
    if parent not in documents or parent in (*heirs, name):
        reason = "inherits itself" if parent in documents else f"there is no {parent}/{_FILE}"
        raise InputError(f"cannot inherit {parent}: {reason}", location=document.at_value(["inherits"]))
    base = _inherited(parent, documents, (*heirs, name))
    releases = own.get("releases")
    if isinstance(releases, dict) and isinstance(base, dict):
        older = base.get("releases", {})
        releases = {
            release: _merge(older.get(item.get("inherits"), {}), item) if isinstance(item, dict) else item
            for release, item in releases.items()
        }
        template = base.get("template", f"{parent}/pipeline.yaml.j2")
        base = {**{key: value for key, value in base.items() if key != "releases"}, "template": template}
        own = {**own, "releases": releases}
        if (Path(document.file).parent / "pipeline.yaml.j2").is_file():
            base.pop("template")
    return _merge(base, own)


def _merge(base: Any, own: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    return {**base, **{key: _merge(base.get(key), value) for key, value in own.items()}}


def _repository(item: Mapping[str, Any]) -> model.Repository:
    keys = []
    for key in item["keys"]:
        try:
            keys.append(Path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the key {key}: {error}") from None
    return model.Repository(
        role=model.Role(item["role"]),
        url=item["url"],
        suites=tuple(item["suites"]),
        components=tuple(item.get("components", ["main"])),
        keys=tuple(keys),
    )
