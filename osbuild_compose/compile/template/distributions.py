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


def copied(distro: str, directory: Path, blocks: Sequence[str], *, replace: bool) -> Mapping[Path, bytes]:
    """The built-in files of a distribution, by their paths in a directory of templates, or a template with `blocks`.

    A template that `directory` has already, and that extends the same one, gets the blocks at its end, unless it is to
    be replaced. Raises InputError for an unknown distribution or block, and for a block that the template has already.
    """
    name, chain = chain_of(distro, ())
    source = catalog.built_in() / name
    files = {
        Path(name, path.relative_to(source)): path.read_bytes()
        for path in (() if blocks else sorted(source.rglob("*")))
        if path.is_file()
    }
    if Path(name, TEMPLATE) not in files:
        texts = _texts(name, chain, blocks)
        old = directory / name / TEMPLATE
        if blocks and old.is_file() and not replace:
            files[Path(name, TEMPLATE)] = _added(old, directory, texts).encode()
        else:
            files[Path(name, TEMPLATE)] = "\n\n".join([_extends(name, chain), *texts.values()]).encode() + b"\n"
    return files


def _added(old: Path, directory: Path, texts: Mapping[str, str]) -> str:
    """The text of a template with these blocks at its end."""
    layer, *extended = template_blocks.layers(f"{old.parent.name}/{TEMPLATE}", (directory,), catalog.built_in())
    if not extended:
        raise InputError(
            f"{old} already exists, and extends no template, so that blocks in it have no effect",
            hint="--force replaces the whole file",
        )
    for block in layer.blocks:
        if block.name in texts:
            raise InputError(
                f"{old} has the block {block.name} already, in line {block.line}",
                hint="--force replaces the whole file",
            )
    return "\n\n".join([old.read_text(encoding="utf-8").rstrip("\n"), *texts.values()]) + "\n"


def _extends(name: str, chain: Sequence[template_blocks.Layer]) -> str:
    """What a template of the distribution begins with that changes blocks of the built-in one."""
    first = chain[0].template
    # A template can only extend one of the same name if that is the built-in one.
    parent = f"builtin/{first}" if first == f"{name}/{TEMPLATE}" else first
    return f'{{% extends "{parent}" %}}'


def _texts(name: str, chain: Sequence[template_blocks.Layer], only: Sequence[str]) -> dict[str, str]:
    """The text of single blocks."""
    known = template_blocks.in_order(chain)
    for block in only:
        if block not in known:
            raise InputError(f"the template of {name} has no block {block}", hint=did_you_mean(block, known))
    return {block: template_blocks.standalone(known[block]) for block in known if block in only}
