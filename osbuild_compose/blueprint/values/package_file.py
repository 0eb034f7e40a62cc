"""Package files among a blueprint's `packages`: beside the blueprint, or at an address with a digest."""

import re
from typing import Any

_NAME = re.compile(r"(?P<deb>[a-z0-9][a-z0-9+.-]+)(?:_.*)?\.deb|(?P<rpm>.+?)(?:-[^-]+-[^-]+\.[a-z0-9_]+)?\.rpm")


def is_file(item: Any) -> bool:
    """Whether an item of `packages` is a file and not a name: by its form, or by the end of its name."""
    return isinstance(item, dict) or (isinstance(item, str) and item.endswith((".deb", ".rpm")))


def package_of(path: str) -> str:
    """The name of the package that a file with this path or address holds, as its own name says; "" for others."""
    match = _NAME.fullmatch(re.split(r"[?#]", path, maxsplit=1)[0].rpartition("/")[2])
    return (match["deb"] or match["rpm"]) if match else ""
