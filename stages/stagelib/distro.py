"""Which distribution the tree is, by its os-release."""

import shlex

from stagelib import tree_paths

LARGEST = 1 << 16  # bytes of an os-release


def os_release(tree: str) -> dict[str, str]:
    """The fields of the tree's os-release(5); {} when it has none. Lines that are not KEY=value are skipped."""
    for path in ("etc/os-release", "usr/lib/os-release"):
        if (text := tree_paths.text_or_none(tree, path, limit=LARGEST)) is not None:
            return _parse(text)
    return {}


def is_debian(tree: str) -> bool:
    """Whether the tree is Debian or a derivative such as Ubuntu."""
    fields = os_release(tree)
    return "debian" in (fields.get("ID"), *fields.get("ID_LIKE", "").split())


def _parse(text: str) -> dict[str, str]:
    fields = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if not equals or line.startswith("#"):
            continue
        try:
            fields[key.strip()] = "".join(shlex.split(value))
        except ValueError:  # an unbalanced quote
            continue
    return fields
