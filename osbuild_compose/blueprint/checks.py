"""What must hold of a blueprint beyond its schema.

Each check takes the document's data as it is, right or wrong, and looks only at what has the right form, so that these
errors are told together with the schema's.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint import settings_checks
from osbuild_compose.blueprint.beside import Beside
from osbuild_compose.blueprint.disk_checks import whole
from osbuild_compose.blueprint.model import HOST
from osbuild_compose.blueprint.path import normal
from osbuild_compose.blueprint.walk import ANY, Problem, texts
from osbuild_compose.document import pages
from osbuild_compose.document.read import Document
from osbuild_compose.document.tree import path_text
from osbuild_compose.errors import InputError
from osbuild_compose.repository import ARMOUR


def problems(document: Document) -> list[InputError]:
    """All that is wrong, each with its place. Reads the files that the blueprint names."""
    beside = Beside(document.file)
    found: list[Problem] = [
        *settings_checks.problems(document.data, beside),
        *whole.problems(document.data, beside),
        *_base64(document.data),
        *_files_beside(document.data, beside),
        *_keys(document.data, beside),
        *settings_checks.twice(document.data, "users", ANY, "name"),
        *settings_checks.twice(document.data, "enabled_modules", ANY, "name"),
        *settings_checks.twice(document.data, "groups", ANY, "name"),
        *_paths_twice(document.data),
        *settings_checks.twice(document.data, "repositories", ANY, "id"),
        *_in_two_lists(document.data, ("services",), ("enabled", "disabled", "masked")),
        *_in_two_lists(document.data, ("firewall", "services"), ("enabled", "disabled")),
        *_ports(document.data),
        *_in_and_out(document.data),
        *_host_packages(document.data),
    ]
    return [
        InputError(
            brief,
            hint=hint,
            location=document.at_value(trail),
            path=path_text(trail),
            reference=pages.of_key(trail),
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
            continue
        try:
            text = beside.read(key)
        except ValueError as error:
            yield trail, str(error), "a key is armoured text, or a file relative to the blueprint's directory"
        else:
            if ARMOUR.encode() not in text:
                yield trail, f"{key} is not an armoured public key", "make one with: gpg --armor --export KEY"


def _paths_twice(data: Any) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for key in ("directories", "files", "symlinks"):
        for trail, path in texts(data, key, ANY, "path"):
            if normal(path) in seen:
                yield trail, f"{path} is already in `{seen[normal(path)]}`", ""
            seen.setdefault(normal(path), key)


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
