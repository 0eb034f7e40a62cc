"""`compose templates list` and `show`: which templates there are, and what they consist of."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osbuild_compose.compile.template import template_blocks
from osbuild_compose.compile.template.template_blocks import Layer
from osbuild_compose.distro import catalog
from osbuild_compose.distro.catalog import Catalog
from osbuild_compose.distro.sources import Sources
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError


def list_all(directories: Sequence[Path], as_json: bool) -> None:
    """Print the distributions with their releases, the template that makes their pipelines, and where they are said."""
    found = catalog.find(directories)
    known, sources = found.read_all(), found.sources
    rows: list[dict[str, Any]] = []
    for name in sorted(sources.paths):
        releases = releases_of(name, sources, found)
        template = known[releases[0]].template if releases else None
        files = [here(str(path)) for path in sources.paths[name]]
        rows.append({"name": name, "releases": releases, "template": template, "files": files})
    if as_json:
        print(json.dumps(rows, indent=2, sort_keys=True))
        return
    for row in rows:
        print(f"{row['name']}: {', '.join(row['releases'])}")
        print(f"  template  {row['template']}")
        for file in row["files"]:
            print(f"  data      {file}")


def show(distro: str, directories: Sequence[Path], block: str | None, as_json: bool) -> None:
    """Print the templates that make the distribution's pipelines with their blocks, or the text of one block."""
    _, chain = chain_of(distro, directories)
    found = template_blocks.in_order(chain)
    if block is not None and block not in found:
        raise InputError(f"the template of {distro} has no block {block}", hint=did_you_mean(block, found))
    if block is not None:
        found = {block: found[block]}
    if as_json:
        places = {
            name: [{"file": item.file, "line": item.line, "text": item.text} for item in items]
            for name, items in found.items()
        }
        print(json.dumps({"templates": [layer.file for layer in chain], "blocks": places}, indent=2))
    elif block is not None:
        texts = (f"{{# {here(item.file)}:{item.line} #}}\n{item.text}\n" for item in found[block])
        print("\n".join(texts), end="")
    else:
        print("\n".join(f"{layer.template}  {here(layer.file)}" for layer in chain))
        print("\nblocks, in their order, each with where it is made and what that stands before:")
        width = max(map(len, found), default=0)
        for name, items in found.items():
            print(f"  {name:{width}}  " + ", ".join(f"{here(item.file)}:{item.line}" for item in items))


def chain_of(distro: str, directories: Sequence[Path]) -> tuple[str, list[Layer]]:
    """The distribution's own name, and its template with those that it extends. distro may be a release.

    Raises InputError for one that is not there.
    """
    found = catalog.find(directories)
    found.read_all()  # so that what is wrong with any is shown
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


def here(file: str) -> str:
    """The path as one would type it here."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
