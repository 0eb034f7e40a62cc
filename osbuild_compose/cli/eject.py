"""`compose templates eject`: a distribution's template as files of one's own."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from osbuild_compose.cli.templates import chain_of
from osbuild_compose.compile.template import template_blocks
from osbuild_compose.distro import catalog
from osbuild_compose.distro.sources import TEMPLATE
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError


def eject(distro: str, directory: Path, only: Sequence[str], *, force: bool) -> None:
    """Write the distribution's directory, or a template with the blocks `only`, below `directory`; print the files.

    Raises InputError for a distribution or a block that is not there, and, unless forced, for a file that is.
    """
    name, chain = chain_of(distro, ())
    source, target = catalog.built_in() / name, directory / name
    files: dict[Path, bytes] = {}
    if not only:
        files = {target / path.relative_to(source): path.read_bytes() for path in _files(source)}
    if only or target / TEMPLATE not in files:
        files[target / TEMPLATE] = _template(name, chain, only).encode()
    if not force and (there := [path for path in files if path.exists()]):
        raise InputError(f"{there[0]} is there already", hint="--force replaces it")
    for path, content in files.items():
        _write(path, content)
        print(path)
    print(f"use it with: --templates {directory}", file=sys.stderr)


def _template(name: str, chain: Sequence[template_blocks.Layer], only: Sequence[str]) -> str:
    """A template that extends the built-in one, with the text of single blocks."""
    first = chain[0].template
    # Of one's own name only the built-in one can be meant.
    parent = f"builtin/{first}" if first == f"{name}/{TEMPLATE}" else first
    known = template_blocks.in_order(chain)
    for block in only:
        if block not in known:
            raise InputError(f"the template of {name} has no block {block}", hint=did_you_mean(block, known))
    texts = [template_blocks.standalone(known[block]) for block in known if block in only]
    return "\n\n".join([f'{{% extends "{parent}" %}}', *texts]) + "\n"


def _files(directory: Path) -> Iterator[Path]:
    yield from (path for path in sorted(directory.rglob("*")) if path.is_file())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
