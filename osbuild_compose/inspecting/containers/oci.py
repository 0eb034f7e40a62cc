"""Container images in an archive: OCI's image layout, and what `docker save` writes."""

import json
from dataclasses import dataclass
from typing import Any

from osbuild_compose.inspecting import detect
from osbuild_compose.inspecting.containers.unpack import decompress
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import Entry, Tree
from osbuild_compose.inspecting.trees.archives import TarTree

_MAX_JSON = 4 * 1024**2
_MAX_LAYERS = 500
_WHITEOUT = ".wh."  # image-spec, layer.md: a file of this name removes the one that follows it in a lower layer
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True)
class ContainerConfig:
    """What a container of the image runs, and how. Sequences and mappings are empty where nothing is said."""

    architecture: str | None
    created: str | None
    cmd: tuple[str, ...]
    entrypoint: tuple[str, ...]
    env: tuple[str, ...]
    user: str | None
    working_dir: str | None
    exposed_ports: tuple[str, ...]
    labels: dict[str, str]


class LayeredTree(Tree):
    """Layers on top of each other."""

    def __init__(self, layers: list[TarTree]) -> None:
        self._layers = layers
        entries: dict[str, Entry] = {}
        self._owner: dict[str, TarTree] = {}
        for layer in layers:
            for path in layer.entries:
                above, _, name = path.rpartition("/")
                if name == _OPAQUE:
                    _remove_below(entries, above)
                elif name.startswith(_WHITEOUT):
                    gone = f"{above}/{name.removeprefix(_WHITEOUT)}"
                    entries.pop(gone, None)
                    _remove_below(entries, gone)
            for path, entry in layer.entries.items():
                if path != "/" and not path.rpartition("/")[2].startswith(_WHITEOUT):
                    entries[path] = Entry(entry.kind, entry.size, entry.target, (id(layer), entry.handle))
                    self._owner[path] = layer
        super().__init__(entries)

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self._owner[path].content(path, limit)


def _remove_below(entries: dict[str, Entry], directory: str) -> None:
    for path in [path for path in entries if path.startswith(f"{directory}/")]:
        del entries[path]


def is_container(archive: Tree) -> bool:
    """Whether the archive is a container image."""
    return (archive.is_file("/index.json") and archive.is_file("/oci-layout")) or archive.is_file("/manifest.json")


def read(archive: TarTree, tools: Tools) -> tuple[Tree, ContainerConfig]:
    """The files of the first image, and its configuration. Raises ToolError if it is damaged."""
    try:
        config_path, layer_paths = _oci(archive) if archive.is_file("/index.json") else _docker(archive)
        config = _config(_json(archive, config_path))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ToolError(f"the container image is damaged: {type(error).__name__}: {error}") from None
    if len(layer_paths) > _MAX_LAYERS:
        raise ToolError(f"the container image has {len(layer_paths)} layers")
    return LayeredTree([_layer(archive, path, tools) for path in layer_paths]), config


def _oci(archive: TarTree) -> tuple[str, list[str]]:
    entry = _json(archive, "/index.json")["manifests"][0]
    manifest = _json(archive, _blob(entry))
    if "manifests" in manifest:  # one image for each architecture
        manifest = _json(archive, _blob(manifest["manifests"][0]))
    return _blob(manifest["config"]), [_blob(layer) for layer in manifest["layers"]]


def _docker(archive: TarTree) -> tuple[str, list[str]]:
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


def _layer(archive: TarTree, path: str, tools: Tools) -> TarTree:
    found = archive.resolve(path)
    if found is None:
        raise ToolError(f"the container image is damaged: {path} is missing")
    area = archive.area(found, tools)
    program = detect.compression(area)
    return TarTree((decompress(area, program, tools) if program else area).as_file(tools))


def _config(document: dict[str, Any]) -> ContainerConfig:
    inner = document.get("config") or {}

    def texts(name: str) -> tuple[str, ...]:
        return tuple(str(item) for item in inner.get(name) or ())

    def text(value: object) -> str | None:
        return str(value) if value else None

    return ContainerConfig(
        architecture=text(document.get("architecture")),
        created=text(document.get("created")),
        cmd=texts("Cmd"),
        entrypoint=texts("Entrypoint"),
        env=texts("Env"),
        user=text(inner.get("User")),
        working_dir=text(inner.get("WorkingDir")),
        exposed_ports=tuple(sorted(texts("ExposedPorts"))),
        labels={str(key): str(value) for key, value in sorted((inner.get("Labels") or {}).items())},
    )
