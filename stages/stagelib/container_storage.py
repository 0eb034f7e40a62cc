"""Copy images into the storage of containers in a tree: `python3 -m stagelib.container_storage ARGUMENTS`.

It runs beside the tree (stagelib.beside), because skopeo and cp follow what is in a storage that the tree has already,
and a package's script may have put anything there.
"""

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from stagelib import api, container_devices, container_layers
from stagelib.errors import StageError

SOURCES = "/run/osbuild/sources"
FILES, IMAGES = (f"{SOURCES}/org.osbuild.{name}" for name in ("files", "skopeo"))  # by their checksums
LINK_LENGTH = 26  # of the overlay driver's short names of layers


def main(storage: str, work: str, images: Sequence[dict[str, str]]) -> int:
    """Add the images to the tree's storage at the path `storage`. work: an empty directory on the same path.

    Returns 0. Raises StageError, CalledProcessError.
    """
    # The overlay driver does not work on an overlay, which the tree is.
    subprocess.run(["cp", "-a", f"{storage}/.", work], check=True)
    check(Path(work))
    for number, image in enumerate(images):
        place = f"containers-storage:[overlay@{work}+/run/containers-storage]{image['name']}"
        skopeo(f"dir:{without_removals(fetched(image, number), image['name'])}", place)
    container_devices.make_placeholders(Path(work))
    try:
        make_reproducible(Path(work), int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))
    except (ValueError, TypeError, KeyError, RecursionError):  # skopeo has not noticed
        raise StageError("the tree's storage of containers is damaged", "remove it in an earlier stage") from None
    subprocess.run(["cp", "-a", "--remove-destination", f"{work}/.", storage], check=True)
    return 0


def check(storage: Path) -> None:
    """Raise StageError for a storage with something that podman does not put there, beside the layers' own files."""
    todo = [storage]
    while todo:
        above = todo.pop()
        for entry in os.scandir(above):
            mode = entry.stat(follow_symlinks=False).st_mode
            link = stat.S_ISLNK(mode) and above == storage / "overlay/l"
            if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode) or link):
                raise StageError(
                    f"the tree's storage of containers has {entry.path.removeprefix(str(storage))}, which podman does "
                    "not make",
                    "find the package or the stage that has put it there",
                )
            if stat.S_ISDIR(mode) and not (entry.name == "diff" and above.parent == storage / "overlay"):
                todo.append(Path(entry.path))


def skopeo(source: str, target: str) -> None:
    """Copy an image."""
    argv = ["skopeo", "--tmpdir", "/var/tmp", "--insecure-policy", "copy", "--quiet", source, target]  # noqa: S108
    subprocess.run(argv, check=True, env={**os.environ, "HOME": "/tmp"})  # noqa: S108


def fetched(image: dict[str, str], number: int) -> str:
    """The image as a directory in skopeo's dir: form. Raises StageError, CalledProcessError."""
    from_registry = os.path.join(IMAGES, image["checksum"])
    if os.path.isdir(from_registry):
        return from_registry
    archive = f"/tmp/archive-{number}"  # noqa: S108 - skopeo takes a colon for the end of a file's name
    os.symlink(os.path.join(FILES, image["checksum"]), archive)
    directory = f"/var/tmp/image-{number}"  # noqa: S108
    skopeo(f"{kind(archive, image['name'])}:{archive}", f"dir:{directory}")
    return directory


def without_removals(image: str, name: str) -> str:
    """The image, or one with the same content in a single layer.

    In the storage, the removal of a file of a lower layer is a special file that the runner's overlay would interpret.
    """
    if not container_layers.removes_anything(container_layers.layers(image)):
        return image
    print(f"{name}: its layers remove files of lower ones, so it is stored as one layer with another id")
    flat = tempfile.mkdtemp(dir="/var/tmp")
    container_layers.flattened(image, f"{flat}/image")
    return f"{flat}/image"


def kind(archive: str, name: str) -> str:
    """skopeo's name of the archive's type. Raises StageError for anything but an archive of a container image."""
    try:
        with tarfile.open(archive) as tar:
            names = {member.name.removeprefix("./") for member in tar}
    except (tarfile.TarError, OSError) as error:
        raise StageError(f"the archive of {name} cannot be read: {error}") from None
    if "oci-layout" in names:
        return "oci-archive"
    if "manifest.json" in names:
        return "docker-archive"
    hint = "make one with: skopeo copy docker://REGISTRY/NAME oci-archive:FILE"
    raise StageError(f"the archive of {name} contains no container image", hint)


def make_reproducible(storage: Path, epoch: int) -> None:
    """Replace random values and times: short names of layers, times of creation, contents of locks."""
    renamed: dict[str, str] = {}
    for link in sorted((storage / "overlay").glob("*/link")):
        digest = hashlib.sha256(link.parent.name.encode()).digest()
        renamed[link.read_text()] = base64.b32encode(digest).decode()[:LINK_LENGTH]
        link.write_text(renamed[link.read_text()])
    for old, new in renamed.items():
        if old != new:
            (storage / "overlay" / "l" / old).rename(storage / "overlay" / "l" / new)
    for lower in (storage / "overlay").glob("*/lower"):
        links = lower.read_text().split(":")
        lower.write_text(":".join(f"l/{renamed.get(link[2:], link[2:])}" for link in links))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    for listing in (storage / "overlay-images/images.json", storage / "overlay-layers/layers.json"):
        items = [{**item, "created": created} for item in json.loads(listing.read_text())]
        listing.write_text(json.dumps(items, separators=(",", ":")))
    for lock in (*storage.glob("*.lock"), *storage.glob("*/*.lock")):
        os.truncate(lock, 0)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    sys.exit(api.guarded(lambda: main(given["storage"], given["work"], given["images"]), tree=given["tree"]))
