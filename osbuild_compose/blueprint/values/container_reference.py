"""Addresses of images in registries of containers, as podman and skopeo write them: docker://HOST/NAME[:TAG]@DIGEST."""

import re
from dataclasses import dataclass

_SCHEME = "docker://"
_REFERENCE = re.compile(r"docker://(?P<name>[^@]+?)(?P<tag>:[^:/@]+)?(@sha256:(?P<digest>[0-9a-f]{64}))?")


@dataclass(frozen=True)
class Address:
    """What an address says: name is that of the registry and the image, sha256 is empty where it has no digest."""

    name: str
    tag: str
    sha256: str


def is_address(url: str) -> bool:
    """Whether it is one of a registry."""
    return url.startswith(_SCHEME)


def parse(url: str) -> Address:
    """The parts of an address. Raises ValueError for what is none."""
    match = _REFERENCE.fullmatch(url)
    if match is None:
        raise ValueError(f"{url} is not the address of an image in a registry")
    return Address(match["name"], (match["tag"] or "").removeprefix(":"), match["digest"] or "")
