"""Container images in skopeo's directory form (dir:): their layers, and flattening them into a single layer.

Formats: OCI's image-spec, layer.md (whiteouts) and manifest.md; containers-transports(5).
"""

import contextlib
import copy
import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stagelib.errors import StageError

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
_ZSTD = b"\x28\xb5\x2f\xfd"
_MEDIA = "application/vnd.oci.image"


def layers(image: str) -> list[str]:
    """The files of the image's layers, the lowest first. image is a directory in skopeo's dir: form."""
    manifest = json.loads(Path(image, "manifest.json").read_bytes())
    return [os.path.join(image, _name(layer)) for layer in manifest["layers"]]


def removes_anything(files: Sequence[str]) -> bool:
    """Whether a layer removes files of a lower one."""
    for file in files[1:]:
        with _unpacked(file) as plain, tarfile.open(plain) as tar:
            if any(_is_whiteout(member.name) for member in tar):
                return True
    return False


def flattened(image: str, target: str) -> None:
    """Create the directory `target` with an image that has the files of `image` in one layer, and its settings."""
    os.mkdir(target)
    layer = os.path.join(target, "layer")
    _merge(layers(image), layer)
    manifest = json.loads(Path(image, "manifest.json").read_bytes())
    config = json.loads(Path(image, _name(manifest["config"])).read_bytes())
    size, digest = os.path.getsize(layer), _digest(layer)
    os.rename(layer, os.path.join(target, digest))
    settings = {key: value for key, value in config.items() if key != "history"}
    settings["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    data = json.dumps(settings, sort_keys=True).encode()
    config_digest = hashlib.sha256(data).hexdigest()
    Path(target, config_digest).write_bytes(data)
    parts = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA}.manifest.v1+json",
        "config": _part("config.v1+json", config_digest, len(data)),
        "layers": [_part("layer.v1.tar", digest, size)],
    }
    Path(target, "manifest.json").write_text(json.dumps(parts, sort_keys=True))
    Path(target, "version").write_text("Directory Transport Version: 1.1\n")


def _part(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": f"{_MEDIA}.{kind}", "digest": f"sha256:{digest}", "size": size}


def _name(part: dict[str, Any]) -> str:
    return str(part["digest"]).partition(":")[2]


@dataclass
class _Hidden:
    """What upper layers hide of lower ones: `paths` with all that is below them, and all below the paths in `below`."""

    paths: set[str] = field(default_factory=set)
    below: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        above = _above(name)
        return name in self.paths or any(path in self.paths or path in self.below for path in above)


def _merge(files: Sequence[str], target: str) -> None:
    """Write one tar archive with the visible files of all layers."""
    hidden, written = _Hidden(), set[str]()
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out:
        for file in reversed(files):
            with _unpacked(file) as plain, tarfile.open(plain) as tar:
                members = {_path(member): member for member in tar}  # the last one of a name wins
                seen = {name for name in members if not (hidden.has(name) or name in written or _is_whiteout(name))}
                # Directories come before their contents, and links last, each after its target.
                for name in sorted(seen, key=lambda name: (_link_place(members[name]), name)):
                    _add(out, tar, members, name, seen)
                written.update(seen)
                for name, member in members.items():
                    _hide(hidden, name, member)


def _add(
    out: tarfile.TarFile, tar: tarfile.TarFile, members: dict[str, tarfile.TarInfo], name: str, seen: set[str]
) -> None:
    """Add the member of that name; `seen` are the visible names of its layer."""
    member = members[name]
    made = copy.copy(member)
    made.name = name
    # tarfile writes the other records again from the member's attributes.
    made.pax_headers = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
    if member.islnk():
        linked = os.path.normpath(member.linkname.lstrip("/"))
        if linked in seen:
            made.linkname = linked
            out.addfile(made)
            return
        if linked not in members:
            raise StageError(f"a layer of the image has a hard link to a missing file: {linked}")
        member = members[linked]  # an upper layer has replaced the link's target
        made.size = member.size
    if member.isreg():
        made.type, made.linkname = tarfile.REGTYPE, ""
        out.addfile(made, tar.extractfile(member))
    else:
        out.addfile(made)


def _link_place(member: tarfile.TarInfo) -> int:
    """The position of a hard link in its layer, which is after its target; 0 for everything else."""
    return member.offset if member.islnk() else 0


def _hide(hidden: _Hidden, name: str, member: tarfile.TarInfo) -> None:
    directory, base = os.path.split(name)
    if base == OPAQUE:
        hidden.below.add(directory)
    elif base.startswith(WHITEOUT):
        hidden.paths.add(os.path.join(directory, base.removeprefix(WHITEOUT)))
    elif not member.isdir():
        hidden.below.add(name)


def _is_whiteout(name: str) -> bool:
    return os.path.basename(name).startswith(WHITEOUT)


def _path(member: tarfile.TarInfo) -> str:
    return os.path.normpath(member.name.lstrip("/"))


def _above(path: str) -> Iterator[str]:
    while path:
        path = os.path.dirname(path)
        yield path


@contextlib.contextmanager
def _unpacked(file: str) -> Iterator[str]:
    """The file, or a decompressed copy: tarfile reads gzip and xz, but not zstd."""
    with Path(file).open("rb") as stream:
        is_zstd = stream.read(len(_ZSTD)) == _ZSTD
    if not is_zstd:
        yield file
        return
    handle, plain = tempfile.mkstemp(suffix=".tar", dir="/var/tmp")
    os.close(handle)
    try:
        subprocess.run(["zstd", "-q", "-d", "-f", file, "-o", plain], check=True)
        yield plain
    except FileNotFoundError:
        raise StageError("the image is compressed with zstd, which is not installed", "install zstd") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(plain)


def _digest(file: str) -> str:
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
