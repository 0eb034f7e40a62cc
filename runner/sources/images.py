"""Container images from registries, stored as the blobs that they consist of, each a download with its own digest.

An image is named by the digest of its manifest, or of a list of manifests, one for each architecture. These name
everything else by digest, so every part of an image is verified. Formats: OCI's image-spec (manifest.md,
image-index.md) and Docker's "image manifest version 2, schema 2", which differ in the names of types only.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.manifest.sources import DIGEST, Image
from runner.store import files

MAX_MANIFEST = 4 * 1024**2  # what registries and skopeo allow
VERSION = b"Directory Transport Version: 1.1\n"  # of the layout that skopeo calls dir
TIMEOUT = "30m"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # Go's names where they differ


class ImageError(Exception):
    """An image that cannot be fetched or used; the text says why."""


class NoSpaceError(ImageError):
    """An image that the file system of the store has no space for."""


Run = Callable[[list[str]], bytes]  # runs a command and returns what it prints; raises ImageError when it fails


def stored_files(image: Image, blobs: Path) -> dict[str, Path] | None:
    """The image's files by their names in skopeo's dir layout, without `version`; None unless `blobs` has all, intact.

    Raises ImageError for an image that does not support this machine, or is of an unknown kind.
    """
    root = _intact(blobs / _hex(image.digest))
    if root is None:
        return None
    digest = _manifest_digest(root, image)
    manifest = _intact(blobs / _hex(digest))
    if manifest is None:
        return None
    found = {"manifest.json": blobs / _hex(digest)}
    for part in _parts(manifest):
        found[_hex(part)] = blobs / _hex(part)
    return found if all(files.digest(path) == path.name for path in found.values()) else None


def fetch(image: Image, blobs: Path, work: Path, run: Run) -> None:
    """Fetch the image's blobs to `blobs` with skopeo. work is an empty directory on the same file system.

    Raises ImageError.
    """
    skopeo = ["skopeo", "--insecure-policy", "--command-timeout", TIMEOUT, "--tmpdir", str(work)]
    insecure = [] if image.tls_verify else ["--tls-verify=false"]
    root = run([*skopeo, "inspect", "--raw", *insecure, f"docker://{image.name}@{image.digest}"])
    if f"sha256:{hashlib.sha256(root).hexdigest()}" != image.digest:
        raise ImageError("the content does not match the digest")
    digest = _manifest_digest(root, image)
    insecure = [] if image.tls_verify else ["--src-tls-verify=false"]
    target = work / "image"
    copy = ["copy", "--quiet", "--retry-times", "2", *insecure]
    run([*skopeo, *copy, f"docker://{image.name}@{digest}", f"dir:{target}"])
    manifest = target / "manifest.json"
    wanted = {_hex(digest): manifest, **{_hex(part): target / _hex(part) for part in _parts(manifest.read_bytes())}}
    for name, path in wanted.items():
        if files.digest(path) != name:
            raise ImageError("the content does not match the digest")
    (work / "root").write_bytes(root)
    wanted[_hex(image.digest)] = work / "root"
    for name, path in wanted.items():
        path.replace(blobs / name)


def error_message(log: str) -> str:
    """Skopeo's last message in its log, without time and level."""
    lines = [line for line in log.splitlines() if line.strip()] or ["skopeo failed and did not say why"]
    message = re.search(r'msg=("(?:[^"\\]|\\.)*")', lines[-1])
    try:
        return str(json.loads(message[1])) if message else lines[-1]
    except ValueError:
        return lines[-1]


def config_digest(manifest: bytes) -> str:
    """The digest of the image's configuration, which podman and osbuild call its id."""
    return next(_parts(manifest))


def _manifest_digest(root: bytes, image: Image) -> str:
    """The digest of the manifest for this machine: the image's own, or one of its list of manifests."""
    document = _document(root)
    if "manifests" not in document:
        return image.digest
    wanted = _ARCHITECTURES.get(os.uname().machine, os.uname().machine)
    for item in _mappings(document["manifests"]):
        about = item.get("platform")
        if isinstance(about, dict) and (about.get("os"), about.get("architecture")) == ("linux", wanted):
            return _checked(item.get("digest"))
    raise ImageError(f"it has no image for linux/{wanted}")


def _parts(manifest: bytes) -> Iterator[str]:
    """The digests that a manifest names: its configuration's, then those of its layers."""
    document = _document(manifest)
    if not isinstance(document.get("config"), dict) or not isinstance(document.get("layers"), list):
        raise ImageError("its manifest is of an unknown kind; OCI's and Docker's version 2, schema 2, are known")
    for item in (document["config"], *_mappings(document["layers"])):
        yield _checked(item.get("digest"))


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ImageError("its manifest is not a JSON object")
    return document


def _mappings(items: Any) -> Iterator[Mapping[str, Any]]:
    for item in items if isinstance(items, list) else [None]:
        if not isinstance(item, dict):
            raise ImageError("its manifest is of an unknown kind")
        yield item


def _checked(digest: Any) -> str:
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ImageError("its manifest names a part by something other than a sha256")
    return digest


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def _intact(path: Path) -> bytes | None:
    """The content of a small file, if its digest is the file's name."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST + 1)
    except FileNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest() == path.name else None
