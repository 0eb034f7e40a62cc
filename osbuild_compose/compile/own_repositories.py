"""The repositories of a blueprint: those that its release can use, with their keys."""

from collections.abc import Mapping
from dataclasses import replace

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.distro import keys
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import Repository
from osbuild_compose.errors import InputError
from osbuild_compose.problem import InvalidValueError, Problem, as_error


def with_fetched_keys(blueprint: Blueprint, environ: Mapping[str, str]) -> Blueprint:
    """The blueprint with the texts of all keys of its repositories. Raises InputError if one cannot be fetched."""
    try:
        own = tuple(keys.with_fetched_keys(item, environ) for item in blueprint.repositories.own)
    except ValueError as error:
        where = blueprint.document.at_key(["repositories"]) if blueprint.document else None
        raise InputError(str(error), hint="check the address and the fingerprint", location=where) from None
    return replace(blueprint, repositories=replace(blueprint.repositories, own=own))


def with_local_files(blueprint: Blueprint, release: Release) -> Blueprint:
    """The blueprint with the files of its repositories in directories of this machine.

    Raises InputError, or DocumentError with all of them, for a directory that is no repository of the release's form.
    """
    architecture = release.architectures.get(blueprint.arch)
    read: dict[int, Repository] = {}
    wrong: list[Problem] = []
    for number, item in numbered(blueprint):
        if item.directory is None or architecture is None or not isinstance(item, release.family.form):
            continue
        try:
            read[id(item)] = release.family.read_directory(item, architecture.name, release.variables)
        except InvalidValueError as error:
            wrong.append(error.problem.within("repositories", number))
    if wrong:
        raise as_error([problem.located(blueprint.document) for problem in wrong])
    own = tuple(read.get(id(item), item) for item in blueprint.repositories.own)
    return replace(blueprint, repositories=replace(blueprint.repositories, own=own))


def numbered(blueprint: Blueprint) -> list[tuple[int, Repository]]:
    """The repositories with their indices in the blueprint's list, in which `default` is an item, too.

    The blueprint of a build root may have none, and yet the document of an image with some.
    """
    own = blueprint.repositories.own
    if blueprint.document is None or not own:
        return list(enumerate(own))
    items = blueprint.document.data.get("repositories", ())
    numbers = [index for index, item in enumerate(items) if not isinstance(item, str)]
    return list(zip(numbers, own, strict=True))


def usable(blueprint: Blueprint, release: Release) -> tuple[Repository, ...]:
    """The repositories of the form that the release's family has, each with its keys."""
    own = (item for item in blueprint.repositories.own if isinstance(item, release.family.form))
    return tuple(signed(item, release) for item in own)


def signed(repository: Repository, release: Release) -> Repository:
    """The repository with the release's keys where it has none of its own."""
    return repository.signed_by(tuple(dict.fromkeys(key for item in release.repositories for key in item.keys)))
