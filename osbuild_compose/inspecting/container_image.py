"""Container images in an archive: OCI image layouts, and what `docker save` writes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from osbuild_compose.inspecting import formats
from osbuild_compose.inspecting.formats import decompress
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_ENTRIES, Stacked, TooMuchError, Tree
from osbuild_compose.inspecting.trees.archive import ArchiveTree

_MAX_JSON = 4 * 1024**2
_MAX_LAYERS = 500
_WHITEOUT = ".wh."  # image-spec, layer.md: a file of this name removes the one that follows it in a lower layer
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class ContainerConfig:
    """How a container of the image runs. Sequences and mappings are empty for keys that the image does not set."""

    architecture: str | None
    created: str | None
    cmd: tuple[str, ...]
    entrypoint: tuple[str, ...]
    env: tuple[str, ...]
    user: str | None
    working_dir: str | None
    exposed_ports: tuple[str, ...]
    labels: dict[str, str]


def layered(layers: Sequence[Tree]) -> Tree:
    """The files of the layers, lowest first, without those that whiteouts of higher layers remove."""
    kept: list[list[str]] = []
    removed: set[str] = set()
    for layer in reversed(layers):  # looks at each path once, however many layers have whiteouts
        kept.append([path for path in layer.entries if not _is_whiteout(path) and not _is_removed(path, removed)])
        removed |= {_removed(path) for path in layer.entries if _is_whiteout(path)}
    return Stacked(list(zip(layers, reversed(kept), strict=True)))


def _is_whiteout(path: str) -> bool:
    return path.rpartition("/")[2].startswith(_WHITEOUT)


def _removed(whiteout: str) -> str:
    """What a whiteout removes: a path with everything below it, or, with a slash at its end, only what is below it."""
    above, _, name = whiteout.rpartition("/")
    return f"{above}/" if name == _OPAQUE else f"{above}/{name.removeprefix(_WHITEOUT)}"


def _is_removed(path: str, removed: set[str]) -> bool:
    while path and removed:
        if path in removed:
            return True
        path = path.rpartition("/")[0]
        if f"{path}/" in removed:
            return True
    return False


def is_container(archive: Tree) -> bool:
    """Whether the archive holds a container image."""
    return (archive.is_file("/index.json") and archive.is_file("/oci-layout")) or archive.is_file("/manifest.json")


def read(archive: ArchiveTree, tools: Tools) -> tuple[Tree, ContainerConfig]:
    """The files of the first image in the archive, and its configuration. Raises ToolError if it is damaged."""
    try:
        config_path, layer_paths = _oci(archive) if archive.is_file("/index.json") else _docker(archive)
        config = _config(_json(archive, config_path))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ToolError(f"the container image is damaged: {type(error).__name__}: {error}") from None
    if len(layer_paths) > _MAX_LAYERS:
        raise ToolError(f"the container image has {len(layer_paths)} layers; more than {_MAX_LAYERS} are not supported")
    layers: list[ArchiveTree] = []
    for path in layer_paths:
        layers.append(_layer(archive, path, tools))
        if sum(len(layer.entries) for layer in layers) > MAX_ENTRIES:
            raise TooMuchError(f"its layers have more than {MAX_ENTRIES} files")
    return layered(layers), config


def _oci(archive: ArchiveTree) -> tuple[str, list[str]]:
    entry = _json(archive, "/index.json")["manifests"][0]
    manifest = _json(archive, _blob(entry))
    if "manifests" in manifest:  # an index with one image for each architecture
        manifest = _json(archive, _blob(manifest["manifests"][0]))
    return _blob(manifest["config"]), [_blob(layer) for layer in manifest["layers"]]


def _docker(archive: ArchiveTree) -> tuple[str, list[str]]:
    image = _json(archive, "/manifest.json")[0]
    return f"/{image['Config']}", [f"/{layer}" for layer in image["Layers"]]


def _blob(descriptor: dict[str, Any]) -> str:
    algorithm, _, digest = descriptor["digest"].partition(":")
    return f"/blobs/{algorithm}/{digest}"


def _json(archive: Tree, path: str) -> Any:
    content = archive.read(path, _MAX_JSON)
    if content is None:
        raise ValueError(f"{path} is missing")
    return json.loads(content)


def _layer(archive: ArchiveTree, path: str, tools: Tools) -> ArchiveTree:
    if not archive.is_file(path):
        raise ToolError(f"the container image is damaged: {path} is missing")
    extent = archive.extract(path)
    program = formats.compression(extent)
    return ArchiveTree(decompress(extent, program, tools) if program else extent, tools)


def _config(document: dict[str, Any]) -> ContainerConfig:
    settings = document.get("config") or {}

    def texts(name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in settings.get(name) or ())

    def text(value: object) -> str | None:
        return str(value) if value else None

    return ContainerConfig(
        architecture=text(document.get("architecture")),
        created=text(document.get("created")),
        cmd=texts("Cmd"),
        entrypoint=texts("Entrypoint"),
        env=texts("Env"),
        user=text(settings.get("User")),
        working_dir=text(settings.get("WorkingDir")),
        exposed_ports=tuple(sorted(texts("ExposedPorts"))),
        labels={str(key): str(value) for key, value in sorted((settings.get("Labels") or {}).items())},
    )
