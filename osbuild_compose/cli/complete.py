"""Completions that shells offer; quick to import, because all options refer to it."""
# ruff: noqa: PLC0415 - as in app.py

from collections.abc import Callable

VARIABLE = "_COMPOSE_COMPLETE"  # set by shells that ask for completions; see `compose completion`


def releases(incomplete: str) -> list[str]:
    """Names that a blueprint's `distro` can have."""
    from osbuild_compose.distro import catalog

    return _begun(lambda: list(catalog.find().releases), incomplete)


def distros(incomplete: str) -> list[str]:
    """Distributions and their releases."""
    from osbuild_compose.distro import catalog

    def names() -> list[str]:
        found = catalog.find()
        return [*found.sources.paths, *found.releases]

    return _begun(names, incomplete)


def programs(incomplete: str) -> list[str]:
    """Stages and assemblers, also by the part of their names after the last dot."""
    from osbuild_compose.compile.module_catalog import ModuleKind, Programs

    known = Programs()
    names = [name for kind in ModuleKind for name in known.names(kind)]
    short = {name.rpartition(".")[2]: name for name in names}
    return _begun(lambda: [*names, *short] if "." not in incomplete else names, incomplete)


def formats(incomplete: str) -> list[str]:
    """Formats of images."""
    from osbuild_compose.blueprint.formats import Format

    return _begun(lambda: list(Format), incomplete)


def _begun(names: Callable[[], list[str]], incomplete: str) -> list[str]:
    from osbuild_compose.errors import ComposeError

    try:
        return sorted(name for name in names() if name.startswith(incomplete))
    except ComposeError:
        return []  # a shell is no place to tell errors
