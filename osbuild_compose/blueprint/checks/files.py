"""Files, directories and symbolic links in the image, and the scripts that the blueprint brings."""

import base64
import binascii
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from osbuild_compose.blueprint import overlay
from osbuild_compose.blueprint.local_files import LocalFiles, is_address
from osbuild_compose.blueprint.model import normal_path
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.document.node import Trail
from osbuild_compose.problem import InvalidValueError, Problem, Severity

_MOUNTED_BY_KERNEL = ("proc", "sys", "dev")
_EMPTY_AT_BOOT = ("run", "tmp")
_NOT_BOOTED = ("tar", "cpio", "oci-archive")  # prefixes of formats that need not be meant for booting
_PATHS = (("directories", ANY), ("files", ANY), ("symlinks", ANY), ("disk", "swap_files", ANY))


class _Kind(StrEnum):
    """What is at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"


_KINDS = {"directories": _Kind.DIRECTORY, "symlinks": _Kind.LINK}  # what these keys make; others make files
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
    own = {normal_path(path) for trail, path in texts(data, "files", ANY, "path") if trail[:2] not in overlays}
    if "/" in own:
        trail = next(trail for trail, path in texts(data, "files", ANY, "path") if normal_path(path) == "/")
        yield Problem(trail, "`path`: / is a directory", "name a file, or a directory as `source`")
    swap = {normal_path(path) for _, path in texts(data, "disk", "swap_files", ANY, "path")}
    files = (own | swap) - {"/"}
    kinds, problems_of_overlays = _overlaid(data, local_files, files)
    yield from problems_of_overlays
    seen: dict[str, str] = {}
    for keys in _PATHS:
        for trail, path in texts(data, *keys, "path"):
            normal, key = normal_path(path), str(trail[-3])
            parents = {str(parent) for parent in PurePosixPath(normal).parents} - {"/"}
            if above := sorted(parents & files):
                yield Problem(trail, f"`path`: {above[0]} is a file, so there can be no {path}")
            if above := sorted(parent for parent in parents if kinds.get(parent) is _Kind.FILE):
                yield Problem(
                    trail, f"`path`: {above[0]} is a file of a directory in `files`, so there can be no {path}"
                )
            if trail[:2] in overlays:
                continue
            if normal in seen:
                yield Problem(trail, f"{path} is already in `{seen[normal]}`")
            seen.setdefault(normal, key)
            there = kinds.get(normal)
            if there and (key == "swap_files" or _excludes(there, _KINDS.get(key, _Kind.FILE))):
                yield Problem(trail, f"`path`: a directory in `files` has {path} already, as a {there}")


def _excludes(there: _Kind, new: _Kind) -> bool:
    """Whether a stage could not write the new one. It replaces files and links, and a link may lead to a directory."""
    return _Kind.DIRECTORY in (there, new) and there is not new and there is not _Kind.LINK


def _overlaid(data: Any, local_files: LocalFiles, files: set[str]) -> tuple[dict[str, _Kind], list[Problem]]:
    """What overlays have at their paths, and where they contradict each other or the `files` of the blueprint."""
    kinds: dict[str, _Kind] = {}
    found: list[Problem] = []
    for trail, top, name in _overlays(data, local_files):
        if top in files:
            found.append(Problem((*trail, "path"), f"`path`: {top} is a file, too", "remove one of them"))
        try:
            entries = local_files.scan(name)
        except InvalidValueError:
            continue  # reported where it is read
        for entry in (overlay.Entry("", is_directory=True), *entries):
            path = os.path.join(top, entry.path) if entry.path else top
            kind = _Kind.DIRECTORY if entry.is_directory else _Kind.FILE if entry.target is None else _Kind.LINK
            before = kinds.setdefault(path, kind)
            if _excludes(before, kind):
                brief = f"`source`: {path} is a {kind} here, and a {before} in another directory of `files`"
                found.append(Problem((*trail, "source"), brief, "remove one of them"))
    return kinds, found


def _hidden_paths(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """Paths over which a running system mounts something else."""
    formats = [*texts(data, "formats", ANY), *texts(data, "formats", ANY, "format")]
    boots = not formats or any(not name.startswith(_NOT_BOOTED) for _, name in formats)
    paths = [found for keys in _PATHS for found in texts(data, *keys, "path")]
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
