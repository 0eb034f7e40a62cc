"""Container images: one layer with the whole tree, as an archive of an OCI image layout.

https://github.com/opencontainers/image-spec v1.1: image-layout.md, manifest.md, config.md. podman, skopeo and docker
load it.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any

from stagelib.disk.formats import bundle, trees
from stagelib.disk.formats.run import Run

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYERS = {
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    "none": "application/vnd.oci.image.layer.v1.tar",
}
# Go's names of the blueprint's architectures.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}


def make(run: Run, options: Mapping[str, Any], path: str) -> None:
    """Make the archive. Options: architecture, and those of _config() and `compression`, `tag`, `annotations`."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.epoch))
    made = trees.packed(run)
    blobs: dict[str, bundle.Content] = {}
    layer = made.files[trees.compression(options)]
    layers = [_file(blobs, layer, LAYERS[options.get("compression", "gzip")])]
    config = _text(blobs, _config(options, created, made.digest), CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    if options.get("annotations"):
        manifest["annotations"] = options["annotations"]
    entry = _text(blobs, manifest, MANIFEST)
    entry["annotations"] = {"org.opencontainers.image.ref.name": options.get("tag", "latest")}
    index = {"schemaVersion": 2, "manifests": [entry]}
    top: dict[str, bundle.Content] = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index),
    }
    bundle.tar(path, {**top, **{f"blobs/sha256/{name}": blobs[name] for name in sorted(blobs)}}, run.epoch)


def _config(options: Mapping[str, Any], created: str, diff_id: str) -> dict[str, Any]:
    """The image's configuration. Options: cmd, entrypoint, env, exposed_ports, labels, stop_signal, user, volumes,
    working_dir."""
    plain = {"cmd": "Cmd", "entrypoint": "Entrypoint", "labels": "Labels", "stop_signal": "StopSignal"}
    plain |= {"user": "User", "working_dir": "WorkingDir"}
    process: dict[str, Any] = {name: options[key] for key, name in plain.items() if options.get(key)}
    if options.get("env"):
        process["Env"] = [f"{key}={value}" for key, value in sorted(options["env"].items())]
    for key, name in (("exposed_ports", "ExposedPorts"), ("volumes", "Volumes")):
        if options.get(key):
            process[name] = {item: {} for item in options[key]}
    return {
        "architecture": ARCHITECTURES.get(options["architecture"], options["architecture"]),
        "os": "linux",
        "created": created,
        "config": process,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        "history": [{"created": created, "created_by": "osbuild-compose"}],
    }


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _text(blobs: dict[str, bundle.Content], value: object, kind: str) -> dict[str, Any]:
    data = _json(value)
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def _file(blobs: dict[str, bundle.Content], path: str, kind: str) -> dict[str, Any]:
    digest = bundle.digest(path)
    blobs[digest] = bundle.File(path)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": os.path.getsize(path)}
