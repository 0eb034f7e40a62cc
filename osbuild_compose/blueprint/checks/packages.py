"""Packages, modules, repositories with their keys, and the build environment's packages."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.local_files import LocalFiles, is_address
from osbuild_compose.blueprint.model import HOST
from osbuild_compose.blueprint.select import ANY, repeated, texts
from osbuild_compose.distro import keys
from osbuild_compose.distro.repository import ARMOUR
from osbuild_compose.document.node import Trail
from osbuild_compose.problem import InvalidValueError, Problem


def problems(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """All problems of the keys that decide what is installed, and from where. Reads the files of signing keys."""
    yield from repeated(data, "enabled_modules", ANY, "name")
    yield from _names(data)
    yield from repeated(data, "repositories", ANY, "id")
    yield from _signing_keys(data, local_files)
    if any(name == HOST for _, name in texts(data, "build_environment", "from")):
        for trail, _ in texts(data, "build_environment", "packages", ANY):
            yield Problem(
                trail,
                "`packages`: with `from: host`, this machine's programs are used and nothing is installed",
                "install it on this machine, or choose another `from`",
            )


def _names(data: Any) -> Iterator[Problem]:
    for key in ("packages", "exclude"):
        for trail, name in texts(data, key, ANY):
            if " - " in name:  # YAML appends a line that is indented further to the text above it, dash and all
                hint = "align the dashes of a list in one column"
                yield Problem(trail, f'an item of `{key}`: "{name}" is not the name of one package', hint)
    wanted = {name for _, name in texts(data, "packages", ANY)}
    for trail, name in texts(data, "exclude", ANY):
        if name in wanted:
            yield Problem(trail, f"{name} is in both `packages` and `exclude`", "remove one of them")


def _signing_keys(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    for trail, key in texts(data, "repositories", ANY, "keys", ANY):
        if ARMOUR in key:
            yield from _armoured(trail, "`keys`: this", key)
            continue
        try:
            text = local_files.read(key).decode(errors="replace")
        except InvalidValueError as error:
            hint = "a key is armoured text, or a file relative to the blueprint's directory"
            if is_address(key):
                hint = f'write {{url: "{key}", fingerprint: FINGERPRINT}}; gpg --show-keys FILE prints the fingerprint'
            yield Problem(trail, error.problem.brief, hint)
        else:
            yield from _armoured(trail, key, text)


def _armoured(trail: Trail, name: str, text: str) -> Iterator[Problem]:
    hint = "export one with: gpg --armor --export KEY"
    if ARMOUR not in text:
        yield Problem(trail, f"{name} is not an armoured public key", hint)
        return
    if wrong := keys.problem(text):
        yield Problem(trail, f"{name} is not a public key: {wrong}", hint)
