"""Files, directories and symbolic links in the image, and the scripts that the blueprint brings."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from osbuild_compose.blueprint.local_files import LocalFiles, is_address
from osbuild_compose.blueprint.model import normal_path
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.problem import InvalidValueError, Problem, Severity

_MOUNTED_BY_KERNEL = ("proc", "sys", "dev")
_EMPTY_AT_BOOT = ("run", "tmp")
_NOT_BOOTED = ("tar", "cpio", "oci-archive")  # prefixes of formats that need not be meant for booting
_PATHS = ("directories", "files", "symlinks")
_TEXT_SOURCES = (  # where text may be read from a file next to the blueprint
    ("udev_rules", ANY),
    ("units", ANY),
    ("units", ANY, "dropins", ANY),
    ("scripts", ANY),
    ("first_boot", ANY),
)


def problems(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """All problems of the keys that put files into the image. Reads the files that they name."""
    yield from _contents(data, local_files)
    for trail, network in values(data, "scripts", ANY, "network"):
        if network is True:
            brief = "this script has the network: the image is not reproducible, and nothing checks what it fetches"
            hint = "packages belong into `packages`, and files with `url` and `sha256` into `files`"
            yield Problem(trail, brief, hint, Severity.WARNING)
    yield from _collisions(data)
    yield from _hidden_paths(data)
    yield from repeated(data, "udev_rules", ANY, "name")


def _contents(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    for trail, text in texts(data, "files", ANY, "base64"):
        try:
            base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            yield Problem(trail, f"`base64` cannot be decoded: {error}", "encode the file with: base64 FILE")
    readers = [(("files", ANY), local_files.read), *((keys, local_files.text) for keys in _TEXT_SOURCES)]
    for keys, read in readers:
        for trail, name in texts(data, *keys, "source"):
            try:
                read(name)
            except InvalidValueError as error:
                problem = error.problem.within(*trail)
                if keys[0] == "files" and is_address(name):
                    problem = replace(problem, hint="write `url` instead of `source`, and `sha256`")
                yield problem


def _collisions(data: Any) -> Iterator[Problem]:
    """Paths that are given twice, and paths below a file."""
    files = {normal_path(path) for _, path in texts(data, "files", ANY, "path")}
    seen: dict[str, str] = {}
    for key in _PATHS:
        for trail, path in texts(data, key, ANY, "path"):
            normal = normal_path(path)
            if normal in seen:
                yield Problem(trail, f"{path} is already in `{seen[normal]}`")
            seen.setdefault(normal, key)
            parents = {str(parent) for parent in PurePosixPath(normal).parents}
            if above := sorted(parents & files):
                yield Problem(trail, f"`path`: {above[0]} is a file, so there can be no {path}")


def _hidden_paths(data: Any) -> Iterator[Problem]:
    """Paths over which a running system mounts something else."""
    formats = [*texts(data, "formats", ANY), *texts(data, "formats", ANY, "format")]
    boots = not formats or any(not name.startswith(_NOT_BOOTED) for _, name in formats)
    for key in _PATHS:
        for trail, path in texts(data, key, ANY, "path"):
            top = normal_path(path).split("/")[1]
            if top in _MOUNTED_BY_KERNEL:
                yield Problem(trail, f"`path`: the kernel mounts its own /{top} at boot, which hides {path}")
            elif boots and top in _EMPTY_AT_BOOT:
                hint = "`tmpfiles` creates files there at every boot"
                yield Problem(trail, f"`path`: /{top} is empty after booting, so {path} would be lost", hint)
