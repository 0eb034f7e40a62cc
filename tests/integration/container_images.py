"""Small images of containers, by the OCI's specification, and a registry to have them in."""

import contextlib
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def tar_of(files: dict[str, bytes], nodes: dict[str, tuple[int, int]] | None = None) -> bytes:
    """An archive of files, and of character devices by their numbers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            tar.addfile(member, io.BytesIO(content))
        for name, numbers in (nodes or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.gid, member.mtime = tarfile.CHRTYPE, 0o620, 5, 1234
            member.devmajor, member.devminor = numbers
            tar.addfile(member)
    return buffer.getvalue()


def oci_archive(
    path: Path,
    *layers: dict[str, bytes],
    command: Sequence[str] = ("/hello",),
    nodes: dict[str, tuple[int, int]] | None = None,
) -> Path:
    """An image by the OCI's specification (image-layout.md) with these layers; nodes: devices in each of them."""
    blobs: dict[str, bytes] = {}

    def blob(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        media = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content)}

    parts = [blob("layer.v1.tar", tar_of(files, nodes)) for files in layers]
    rootfs = {"type": "layers", "diff_ids": [part["digest"] for part in parts]}
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": list(command)}, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", json.dumps(config).encode()),
        "layers": parts,
    }
    index = {"schemaVersion": 2, "manifests": [blob("manifest.v1+json", json.dumps(manifest).encode())]}
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode(), **blobs}
    path.write_bytes(tar_of(files))
    return path


@contextlib.contextmanager
def registry(place: Path, *, tls: bool = False, port: int = 0) -> Iterator[str]:
    """A registry that keeps what it has in `place`; gives its host and port. With TLS its certificate is its own."""
    place.mkdir(exist_ok=True)
    if not port:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}"}
    if tls:
        http["tls"] = {"certificate": str(place / "cert.pem"), "key": str(place / "key.pem")}
        argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
        argv += ["-keyout", str(place / "key.pem"), "-out", str(place / "cert.pem")]
        subprocess.run(argv, check=True, capture_output=True)
    config = {"version": "0.1", "storage": {"filesystem": {"rootdirectory": str(place / "data")}}, "http": http}
    (place / "config.json").write_text(json.dumps(config))  # JSON is YAML
    with (place / "log").open("wb") as log:
        argv = ["docker-registry", "serve", str(place / "config.json")]
        with subprocess.Popen(argv, stdout=log, stderr=log) as process:
            try:
                for _ in range(600):
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                        break
                    time.sleep(0.1)
                yield f"127.0.0.1:{port}"
            finally:
                process.terminate()


def push(archive: Path, reference: str) -> str:
    """Put the image of an archive into a registry ("host:port/name:tag"); returns the digest that it has there."""
    insecure = "--dest-tls-verify=false"
    copy = [
        "skopeo",
        "--insecure-policy",
        "copy",
        "--quiet",
        insecure,
        f"oci-archive:{archive}",
        f"docker://{reference}",
    ]
    subprocess.run(copy, check=True)
    inspect = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{reference}"]
    return subprocess.run(inspect, check=True, capture_output=True, text=True).stdout.strip()


def push_list(reference: str, digests: dict[str, str]) -> str:
    """Put a list of images, by their architectures, into a registry without TLS; returns its digest."""
    media = "application/vnd.oci.image.index.v1+json"
    name, _, tag = reference.rpartition(":")
    host, _, name = name.partition("/")
    manifests = []
    for architecture, digest in digests.items():
        url = f"http://{host}/v2/{name}/manifests/{digest}"
        kind = "application/vnd.oci.image.manifest.v1+json"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": kind})) as answer:
            size = len(answer.read())
        platform = {"os": "linux", "architecture": architecture}
        manifests.append({"mediaType": kind, "digest": digest, "size": size, "platform": platform})
    data = json.dumps({"schemaVersion": 2, "mediaType": media, "manifests": manifests}).encode()
    url = f"http://{host}/v2/{name}/manifests/{tag}"
    request = urllib.request.Request(url, data, {"Content-Type": media}, method="PUT")
    with urllib.request.urlopen(request):
        return f"sha256:{hashlib.sha256(data).hexdigest()}"
