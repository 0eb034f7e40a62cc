"""The templates of distributions: what each consists of, and copies of them for changes of one's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from osbuild_compose.compile.template import template_blocks
from osbuild_compose.compile.template.template_blocks import Layer
from osbuild_compose.distro import catalog
from osbuild_compose.distro.catalog import Catalog
from osbuild_compose.distro.sources import TEMPLATE, Sources
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError


def chain_of(distro: str, directories: Sequence[Path]) -> tuple[str, list[Layer]]:
    """The distribution's own name, and its template with those that it extends. distro may be a release.

    Raises InputError for one that is not there.
    """
    found = catalog.find(directories)
    found.read_all()  # reports errors in any of them
    sources = found.sources
    for name in sources.paths:
        releases = releases_of(name, sources, found)
        if distro == name or distro in releases:
            template = str(sources.resolved(name)["template"])
            return name, template_blocks.layers(template, found.directories, catalog.built_in())
    known = [*sources.paths, *found.releases]
    raise InputError(f"there is no distribution {distro}", hint=did_you_mean(distro, known))


def releases_of(name: str, sources: Sources, found: Catalog) -> list[str]:
    """The names of the distribution's releases."""
    return sorted(release for release in sources.resolved(name)["releases"] if release in found.releases)


def copied(distro: str, blocks: Sequence[str]) -> Mapping[Path, bytes]:
    """The built-in files of a distribution, by their paths in a directory of templates, or a template with `blocks`.

    Raises InputError for an unknown distribution or block.
    """
    name, chain = chain_of(distro, ())
    source = catalog.built_in() / name
    files = {
        Path(name, path.relative_to(source)): path.read_bytes()
        for path in (() if blocks else sorted(source.rglob("*")))
        if path.is_file()
    }
    if Path(name, TEMPLATE) not in files:
        files[Path(name, TEMPLATE)] = _template(name, chain, blocks).encode()
    return files


def _template(name: str, chain: Sequence[template_blocks.Layer], only: Sequence[str]) -> str:
    """A template that extends the built-in one, with the text of single blocks."""
    first = chain[0].template
    # A template can only extend one of the same name if that is the built-in one.
    parent = f"builtin/{first}" if first == f"{name}/{TEMPLATE}" else first
    known = template_blocks.in_order(chain)
    for block in only:
        if block not in known:
            raise InputError(f"the template of {name} has no block {block}", hint=did_you_mean(block, known))
    texts = [template_blocks.standalone(known[block]) for block in known if block in only]
    return "\n\n".join([f'{{% extends "{parent}" %}}', *texts]) + "\n"
