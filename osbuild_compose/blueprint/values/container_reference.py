"""Addresses of images in container registries, as podman and skopeo write them: docker://HOST/NAME[:TAG]@DIGEST."""

import re
from dataclasses import dataclass

_SCHEME = "docker://"
# A name that podman would fetch: its first part is a host with a dot or a port, or localhost.
_NAME = re.compile(
    r"(localhost|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+(:\d+)?|[a-zA-Z0-9-]+:\d+)(/[a-z0-9._-]+)+(:[\w.-]+)?(@sha256:\w+)?"
)
_REFERENCE = re.compile(r"docker://(?P<name>[^@]+?)(?P<tag>:[^:/@]+)?(@sha256:(?P<digest>[0-9a-f]{64}))?")


@dataclass(frozen=True)
class Address:
    """An address in its parts: `name` is that of the registry and the image; sha256 is empty if there is no digest."""

    name: str
    tag: str
    sha256: str


def is_address(url: str) -> bool:
    """Whether the URL is the address of an image in a registry."""
    return url.startswith(_SCHEME)


def is_name(text: str) -> bool:
    """Whether the text looks like the name of an image in a registry, with or without docker:// in front."""
    return _NAME.fullmatch(text.removeprefix(_SCHEME)) is not None


def parse(url: str) -> Address:
    """The parts of an address. Raises ValueError for anything else."""
    match = _REFERENCE.fullmatch(url)
    if match is None:
        raise ValueError(f"{url} is not the address of an image in a registry")
    return Address(match["name"], (match["tag"] or "").removeprefix(":"), match["digest"] or "")
