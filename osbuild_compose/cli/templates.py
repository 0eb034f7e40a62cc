"""`compose templates list`, `show` and `eject`: templates, what they consist of, and copies of them."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osbuild_compose.cli.paths import relative
from osbuild_compose.compile.template import distributions, template_blocks
from osbuild_compose.distro import catalog
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError


def list_all(directories: Sequence[Path], as_json: bool) -> None:
    """Print the distributions with their releases, the template that makes their pipelines, and where they are said."""
    found = catalog.find(directories)
    known, sources = found.read_all(), found.sources
    rows: list[dict[str, Any]] = []
    for name in sorted(sources.paths):
        releases = distributions.releases_of(name, sources, found)
        template = known[releases[0]].template if releases else None
        files = [relative(str(path)) for path in sources.paths[name]]
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
    _, chain = distributions.chain_of(distro, directories)
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
        texts = (f"{{# {relative(item.file)}:{item.line} #}}\n{item.text}\n" for item in found[block])
        print("\n".join(texts), end="")
    else:
        print("\n".join(f"{layer.template}  {relative(layer.file)}" for layer in chain))
        print("\nblocks, in their order, each with where it is made and what that stands before:")
        width = max(map(len, found), default=0)
        for name, items in found.items():
            print(f"  {name:{width}}  " + ", ".join(f"{relative(item.file)}:{item.line}" for item in items))


def eject(distro: str, directory: Path, blocks: Sequence[str], *, force: bool) -> None:
    """Write copies of a distribution's templates, or a template with these blocks, below `directory`; print the files.

    Blocks are added to a template that is there. Raises InputError for an unknown distribution or block and, unless
    forced, for an existing file or block.
    """
    made = distributions.copied(distro, directory, blocks, replace=force)
    files = {directory / path: content for path, content in made.items()}
    if not force and not blocks and (existing := [path for path in files if path.exists()]):
        raise InputError(f"{existing[0]} already exists", hint="--force replaces it")
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None
        print(path)
    print(f"use it with: --templates {directory}", file=sys.stderr)
