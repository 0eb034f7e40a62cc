"""Files, directories and symbolic links in the image, and the scripts that the blueprint brings."""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from osbuild_compose.blueprint.local_files import LocalFiles, is_address
from osbuild_compose.blueprint.model import normal_path
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.document.node import Trail
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
    yield from _collisions(data, local_files)
    yield from _hidden_paths(data, local_files)
    yield from repeated(data, "udev_rules", ANY, "name")


def _contents(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    for trail, text in texts(data, "files", ANY, "base64"):
        try:
            base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            yield Problem(trail, f"`base64` cannot be decoded: {error}", "encode the file with: base64 FILE")
    readers = [(("files", ANY), _reader(local_files)), *((keys, local_files.text) for keys in _TEXT_SOURCES)]
    for keys, read in readers:
        for trail, name in texts(data, *keys, "source"):
            try:
                read(name)
            except InvalidValueError as error:
                problem = error.problem.within(*trail)
                if keys[0] == "files" and is_address(name):
                    problem = replace(problem, hint="write `url` instead of `source`, and `sha256`")
                yield problem


def _reader(local_files: LocalFiles) -> Callable[[str], object]:
    """Reads what `source` of a file names, a directory included, unless it is not carried in the pipeline."""

    def read(name: str) -> object:
        if local_files.is_directory(name):
            return local_files.scan(name)
        return None if local_files.is_large(name) else local_files.read(name)

    return read


def _overlays(data: Any, local_files: LocalFiles) -> Iterator[tuple[Trail, str, str]]:
    """The directories that are copied: the trail, `path` and `source`."""
    for trail, name in texts(data, "files", ANY, "source"):
        path = data["files"][trail[1]].get("path")
        if local_files.is_directory(name) and isinstance(path, str):
            yield trail[:2], normal_path(path), name


def _collisions(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """Paths that are given twice, and paths below a file. An overlay's directory may be in others, and have others."""
    overlays = {trail for trail, _, _ in _overlays(data, local_files)}
    files = {normal_path(path) for trail, path in texts(data, "files", ANY, "path") if trail[:2] not in overlays}
    if "/" in files:
        trail = next(trail for trail, path in texts(data, "files", ANY, "path") if normal_path(path) == "/")
        yield Problem(trail, "`path`: / is a directory", "name a file, or a directory as `source`")
    seen: dict[str, str] = {}
    for key in _PATHS:
        for trail, path in texts(data, key, ANY, "path"):
            normal = normal_path(path)
            if trail[:2] in overlays:
                continue
            if normal in seen:
                yield Problem(trail, f"{path} is already in `{seen[normal]}`")
            seen.setdefault(normal, key)
            parents = {str(parent) for parent in PurePosixPath(normal).parents}
            if above := sorted((parents & files) - {"/"}):
                yield Problem(trail, f"`path`: {above[0]} is a file, so there can be no {path}")


def _hidden_paths(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """Paths over which a running system mounts something else."""
    formats = [*texts(data, "formats", ANY), *texts(data, "formats", ANY, "format")]
    boots = not formats or any(not name.startswith(_NOT_BOOTED) for _, name in formats)
    paths = [found for key in _PATHS for found in texts(data, key, ANY, "path")]
    for trail, path in [*paths, *_first_paths(data, local_files)]:
        top = normal_path(path).split("/")[1]
        if top in _MOUNTED_BY_KERNEL:
            yield Problem(trail, f"`{trail[-1]}`: the kernel mounts its own /{top} at boot, which hides {path}")
        elif boots and top in _EMPTY_AT_BOOT:
            hint = "`tmpfiles` creates files there at every boot"
            yield Problem(trail, f"`{trail[-1]}`: /{top} is empty after booting, so {path} would be lost", hint)


def _first_paths(data: Any, local_files: LocalFiles) -> Iterator[tuple[Trail, str]]:
    """A path below each directory at the top of an overlay of /, if it has any."""
    for trail, path, name in _overlays(data, local_files):
        try:
            entries = local_files.scan(name) if path == "/" else ()
        except InvalidValueError:
            continue  # reported where it is read
        for entry in {entry.path.split("/")[0]: entry for entry in entries if "/" in entry.path}.values():
            yield (*trail, "source"), f"/{entry.path}"
