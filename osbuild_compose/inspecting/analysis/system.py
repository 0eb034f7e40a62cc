"""The operating system in a tree: name, kernels, largest directories and provenance."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from osbuild_compose.inspecting.analysis.fields import shell_fields
from osbuild_compose.inspecting.tree import FileType, Tree

_MAX_TEXT = 1024**2
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_KERNELS = ("/boot/vmlinuz-{}", "/usr/lib/modules/{}/vmlinuz", "/lib/modules/{}/vmlinuz")
_OF_HARDWARE = {"usb-storage", "ahci"}
_LARGEST = 10
_DEPTH = 3
_MAX_DEPTH = 50  # of nested lists and mappings in a document
PROVENANCE = "/usr/lib/osbuild-compose"


class Drivers(StrEnum):
    """What a kernel has drivers for: any machine, or only for virtual ones as clouds have them."""

    HARDWARE = "hardware"
    VIRTUAL = "virtual"


@dataclass(frozen=True)
class Kernel:
    """A kernel. path is that of its image, None if it has only modules; drivers is None without these."""

    version: str
    path: str | None
    drivers: Drivers | None = None


@dataclass(frozen=True)
class Usage:
    """The size of a directory in bytes (hard links count once), and the number of files in it and below."""

    path: str
    size: int
    files: int


@dataclass(frozen=True)
class Provenance:
    """The documents that the build embedded in the image; None for those that are missing."""

    build: Mapping[str, Any] | None
    blueprint: Mapping[str, Any] | None
    lock: Mapping[str, Any] | None


def is_system(tree: Tree) -> bool:
    """Whether the tree has an operating system."""
    return any(tree.is_file(path) for path in _OS_RELEASE) or tree.is_file("/etc/passwd")


def os_release(tree: Tree) -> dict[str, str]:
    """The fields of os-release(5); empty if there is no such file."""
    text = next((text for path in _OS_RELEASE if (text := tree.text(path, _MAX_TEXT)) is not None), "")
    found = {}
    for line in text.splitlines():
        name, equal, value = line.strip().partition("=")
        if equal and re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
            words = shell_fields(value)
            found[name] = value if words is None else "".join(words)
    return found


def hostname(tree: Tree) -> str | None:
    """The host name in /etc/hostname, or None."""
    lines = (tree.text("/etc/hostname", 4096) or "").splitlines()
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), None)


def kernels(tree: Tree) -> tuple[Kernel, ...]:
    """The kernels of which there is an image or a directory of modules."""
    versions = set()
    for directory in ("/usr/lib/modules", "/lib/modules"):
        versions |= {name for name in tree.names(directory) if tree.is_directory(f"{directory}/{name}")}
    versions |= {name.removeprefix("vmlinuz-") for name in tree.names("/boot") if name.startswith("vmlinuz-")}
    found = []
    for version in sorted(versions):
        paths = (path.format(version) for path in _KERNELS)
        found.append(
            Kernel(version, next((path for path in paths if tree.is_file(path)), None), _drivers(tree, version))
        )
    return tuple(found)


def _drivers(tree: Tree, version: str) -> Drivers | None:
    """What the kernel has drivers for, going by those of USB sticks and SATA disks, as modules or built in."""
    top = tree.resolve(f"/lib/modules/{version}") or tree.resolve(f"/usr/lib/modules/{version}")
    if top is None:
        return None
    below = [path for path in tree.entries if path.startswith(f"{top}/")]
    below += (tree.text(f"{top}/modules.builtin", _MAX_TEXT) or "").splitlines()
    names = {path.rpartition("/")[2].partition(".")[0] for path in below}
    return Drivers.HARDWARE if names >= _OF_HARDWARE else Drivers.VIRTUAL


def largest_directories(tree: Tree) -> tuple[Usage, ...]:
    """The largest directories, up to three levels deep, the largest first."""
    sizes: dict[str, list[int]] = {}
    seen = set()
    for path, entry in tree.entries.items():
        if entry.kind is not FileType.FILE:
            continue
        size = 0 if entry.handle is not None and entry.handle in seen else entry.size
        seen.add(entry.handle)
        parts = path.split("/")[1:-1][:_DEPTH]
        for depth in range(1, len(parts) + 1):
            total = sizes.setdefault("/" + "/".join(parts[:depth]), [0, 0])
            total[0] += size
            total[1] += 1
    ordered = sorted(sizes.items(), key=lambda item: (-item[1][0], item[0]))
    return tuple(Usage(path, size, files) for path, (size, files) in ordered[:_LARGEST])


def provenance(tree: Tree) -> Provenance | None:
    """The documents that the build embedded; None if there are none."""
    found = Provenance(*(_document(tree, f"{PROVENANCE}/{name}.json") for name in ("build", "blueprint", "lock")))
    return None if found == Provenance(None, None, None) else found


def _document(tree: Tree, path: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(tree.text(path, 16 * _MAX_TEXT) or "null", parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and _is_flat(document) else None


def _number(text: str) -> float:
    """A finite number: Python's parser accepts NaN and Infinity, which are not in JSON."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number in JSON")
    return number


def _is_flat(document: Any) -> bool:
    """Whether lists and mappings are not nested too deeply to be copied and written."""
    level = [document]
    for _ in range(_MAX_DEPTH):
        lists = [list(one.values()) if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [item for items in lists for item in items]
    return not level
