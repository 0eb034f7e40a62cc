"""The `sources` of a manifest as values: files and container images that modules may name by checksum.

{"org.osbuild.files": {"urls": {"sha256:<hex>": "https://..."}}}        also named org.osbuild.curl, also "items"
{"org.osbuild.inline": {"items": {"sha256:<hex>": {"encoding": "base64", "data": "..."}}}}
{"org.osbuild.skopeo": {"items": {"sha256:<hex>": {"image": {"name": "...", "digest": "sha256:<hex>"}}}}}

A container image has two digests: that of its manifest, by which registries know it and which is the image's `digest`,
and its id, which is that of its configuration. osbuild names it by its id. Here it may be named by its digest as well,
since the id is only known once the registry was asked.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.manifest.document import wrong

FILES = ("org.osbuild.files", "org.osbuild.curl")
INLINE = "org.osbuild.inline"
SKOPEO = "org.osbuild.skopeo"
URL = re.compile(r"(https?|ftp|file)://[^\s\"\\]+")
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
IMAGE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+")


@dataclass(frozen=True)
class Image:
    """A container image in a registry: its name with the registry's, and the digest of its manifest ("sha256:<hex>").

    Without tls_verify certificates are not checked, and the registry may do without TLS.
    """

    name: str
    digest: str
    tls_verify: bool = True


@dataclass(frozen=True)
class Source:
    """One file or image: the source that offers it, its "sha256:<hex>", and either its address or its content."""

    name: str
    checksum: str
    url: str = ""
    data: bytes | None = None
    image: Image | None = None

    @property
    def digest(self) -> str:
        """The sha256 in hexadecimal."""
        return self.checksum.partition(":")[2]


def parse(sources: Mapping[str, Any]) -> dict[str, Source]:
    """The sources in a manifest's `sources`, by checksum. Raises RunnerError (input) with the path of a mistake."""
    found: dict[str, Source] = {}
    for name, options in sources.items():
        if name not in (known := (*FILES, INLINE, SKOPEO)):
            raise wrong(f"sources.{name}", "unknown source", f"known: {', '.join(known)}")
        if not isinstance(options, dict):
            raise wrong(f"sources.{name}", "expected an object")
        for key, items in options.items():
            path = f"sources.{name}.{key}"
            if key not in (("urls", "items") if name in FILES else ("items",)):
                raise wrong(path, "unknown key")
            if not isinstance(items, dict):
                raise wrong(path, "expected an object of checksums")
            for checksum, item in items.items():
                found[checksum] = _source(name, checksum, item, f"{path}.{checksum}")
    return found


def named_in(value: Any, known: Mapping[str, Source]) -> set[str]:
    """The checksums of known sources that occur anywhere in a step's options: those are what it may read."""
    return {text for text in _texts(value) if text in known}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _source(name: str, checksum: str, item: Any, path: str) -> Source:
    if not DIGEST.fullmatch(checksum):
        raise wrong(path, "a file is named by sha256: and 64 hexadecimal digits")
    if name == INLINE:
        if not isinstance(item, dict) or set(item) != {"encoding", "data"} or item["encoding"] != "base64":
            raise wrong(path, 'expected {"encoding": "base64", "data": "..."}')
        try:
            return Source(name, checksum, data=base64.b64decode(item["data"], validate=True))
        except (binascii.Error, ValueError, TypeError):
            raise wrong(f"{path}.data", "not base64") from None
    if name == SKOPEO:
        return Source(name, checksum, image=_image(item, path))
    url = item.get("url") if isinstance(item, dict) and set(item) == {"url"} else item
    if not isinstance(url, str) or not URL.fullmatch(url):
        raise wrong(path, "expected a URL", "http, https, ftp and file are known")
    return Source(name, checksum, url=url)


def _image(item: Any, path: str) -> Image:
    found = item.get("image") if isinstance(item, dict) and set(item) == {"image"} else None
    if not isinstance(found, dict) or not {"name", "digest"} <= set(found):
        raise wrong(path, 'expected {"image": {"name": "...", "digest": "sha256:..."}}')
    for key in found:
        if key not in ("name", "digest", "tls-verify", "containers-transport"):
            raise wrong(f"{path}.image.{key}", "unknown key")
    for key, pattern in (("name", IMAGE_NAME), ("digest", DIGEST)):
        if not isinstance(found[key], str) or not pattern.fullmatch(found[key]):
            raise wrong(f"{path}.image.{key}", "expected " + {"name": "REGISTRY/NAME", "digest": "sha256:..."}[key])
    if found.get("containers-transport", "docker") != "docker":
        raise wrong(f"{path}.image.containers-transport", "only docker is supported")
    if not isinstance(verify := found.get("tls-verify", True), bool):
        raise wrong(f"{path}.image.tls-verify", "expected true or false")
    return Image(found["name"], found["digest"], verify)
