"""What must hold of a blueprint beyond its schema.

Each check takes the document's data as it is, right or wrong, and looks only at what has the right form, so that these
errors are told together with the schema's.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from osbuild_compose.blueprint.checks import settings
from osbuild_compose.blueprint.local_files import Beside
from osbuild_compose.blueprint.model import HOST
from osbuild_compose.blueprint.select import ANY, Problem, texts, values
from osbuild_compose.blueprint.values.image_paths import normal
from osbuild_compose.disk.checks import all_checks
from osbuild_compose.distro import keys
from osbuild_compose.distro.repository import ARMOUR
from osbuild_compose.document import doc_links
from osbuild_compose.document.node import Trail, path_text
from osbuild_compose.document.reader import Document
from osbuild_compose.errors import InputError

_OF_KERNEL = ("proc", "sys", "dev")
_EMPTIED = ("run", "tmp")
_NOT_BOOTED = ("tar", "cpio", "oci-archive")  # beginnings of formats that may be for something else than booting


def problems(document: Document) -> list[InputError]:
    """All that is wrong, each with its place. Reads the files that the blueprint names."""
    beside = Beside(document.file)
    found: list[Problem] = [
        *settings.problems(document.data, beside),
        *all_checks.problems(document.data, beside),
        *_base64(document.data),
        *_files_beside(document.data, beside),
        *_keys(document.data, beside),
        *settings.twice(document.data, "users", ANY, "name"),
        *settings.twice(document.data, "enabled_modules", ANY, "name"),
        *settings.twice(document.data, "groups", ANY, "name"),
        *_paths_twice(document.data),
        *_paths_below_files(document.data),
        *_hidden_paths(document.data),
        *_formats_twice(document.data),
        *_lost_dashes(document.data),
        *settings.twice(document.data, "repositories", ANY, "id"),
        *_in_two_lists(document.data, ("services",), ("enabled", "disabled", "masked")),
        *_in_two_lists(document.data, ("firewall", "services"), ("enabled", "disabled")),
        *_ports(document.data),
        *_in_and_out(document.data),
        *_host_packages(document.data),
    ]
    return told(document, found)


def told(document: Document, found: Iterable[Problem]) -> list[InputError]:
    """What was found in the document, each with its place."""
    return [
        InputError(
            brief,
            hint=hint,
            location=document.at_value(trail),
            path=path_text(trail),
            reference=doc_links.of_key(trail),
        )
        for trail, brief, hint in found
    ]


def _base64(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "files", ANY, "base64"):
        try:
            base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            yield trail, f"`base64` cannot be decoded: {error}", "make it with: base64 FILE"


def _files_beside(data: Any, beside: Beside) -> Iterator[Problem]:
    for trail, name in texts(data, "files", ANY, "source"):
        try:
            beside.read(name)
        except ValueError as error:
            yield trail, str(error), "the path is relative to the blueprint's directory"


def _keys(data: Any, beside: Beside) -> Iterator[Problem]:
    for trail, key in texts(data, "repositories", ANY, "keys", ANY):
        if ARMOUR in key:
            yield from _armoured(trail, "`keys`: ", key)
            continue
        try:
            text = beside.read(key)
        except ValueError as error:
            yield trail, str(error), "a key is armoured text, or a file relative to the blueprint's directory"
        else:
            yield from _armoured(trail, f"{key} ", text.decode(errors="replace"))


def _armoured(trail: Trail, what: str, text: str) -> Iterator[Problem]:
    hint = "make one with: gpg --armor --export KEY"
    if ARMOUR not in text:
        yield trail, f"{what}is not an armoured public key", hint
        return
    if wrong := keys.problem(text):
        yield trail, f"{what}is not a public key: {wrong}", hint


def _paths_twice(data: Any) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for key in ("directories", "files", "symlinks"):
        for trail, path in texts(data, key, ANY, "path"):
            if normal(path) in seen:
                yield trail, f"{path} is already in `{seen[normal(path)]}`", ""
            seen.setdefault(normal(path), key)


def _paths_below_files(data: Any) -> Iterator[Problem]:
    files = {normal(path) for _, path in texts(data, "files", ANY, "path")}
    for key in ("directories", "files", "symlinks"):
        for trail, path in texts(data, key, ANY, "path"):
            above = {str(parent) for parent in PurePosixPath(normal(path)).parents}
            if inside := sorted(above & files):
                yield trail, f"`path`: {inside[0]} is a file, in which there can be no {path}", ""


def _hidden_paths(data: Any) -> Iterator[Problem]:
    """What a running system has something else at."""
    wanted = [*texts(data, "formats", ANY), *texts(data, "formats", ANY, "format")]
    boots = not wanted or any(not name.startswith(_NOT_BOOTED) for _, name in wanted)
    for key in ("directories", "files", "symlinks"):
        for trail, path in texts(data, key, ANY, "path"):
            top = normal(path).split("/")[1]
            if top in _OF_KERNEL or (boots and top in _EMPTIED):
                what = "the kernel's" if top in _OF_KERNEL else "empty"
                hint = "`tmpfiles` makes what is to be there at every boot" if top in _EMPTIED else ""
                yield trail, f"`path`: /{top} is {what} when the machine runs, so nobody would see {path}", hint


def _formats_twice(data: Any) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in values(data, "formats", ANY):
        name = item.get("format") if isinstance(item, dict) else item
        if isinstance(name, str):
            if name in seen and item not in data["formats"][: index[1]]:  # of the same the schema tells
                yield index, f"`formats` has {name} twice", "an image has one file of each"
            seen.add(name)


def _lost_dashes(data: Any) -> Iterator[Problem]:
    """YAML takes a line that is indented further for more of the text above it, also when it begins with a dash."""
    for key in ("packages", "exclude"):
        for trail, name in texts(data, key, ANY):
            if " - " in name:
                hint = "the dashes of one list stand in one column"
                yield trail, f'an item of `{key}`: "{name}" is not one package\'s name', hint


def _ports(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "firewall", "ports", ANY):
        if match := re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?:[a-z]+", text, re.ASCII):
            first, last = int(match[1]), int(match[2] or match[1])
            if not 0 < first <= last < 65536:
                yield trail, f"`ports`: {text} is not between 1 and 65535, the lower one first", ""


def _in_and_out(data: Any) -> Iterator[Problem]:
    wanted = {name for _, name in texts(data, "packages", ANY)}
    for trail, name in texts(data, "exclude", ANY):
        if name in wanted:
            yield trail, f"{name} is in `packages` and in `exclude`", "remove one of them"


def _host_packages(data: Any) -> Iterator[Problem]:
    if any(name == HOST for _, name in texts(data, "build_environment", "from")):
        for trail, _ in texts(data, "build_environment", "packages", ANY):
            yield (
                trail,
                "`packages`: this machine's programs are used as they are",
                "install it on this machine, or say another `from` than host",
            )


def _in_two_lists(data: Any, way: tuple[str, ...], lists: tuple[str, ...]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for state in lists:
        for trail, name in texts(data, *way, state, ANY):
            unit = name if "." in name else f"{name}.service"
            if seen.get(unit, state) != state:
                yield trail, f"{name} is already in `{seen[unit]}`", ""
            seen.setdefault(unit, state)
