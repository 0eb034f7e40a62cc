"""Paths in the image."""


def normal(path: str) -> str:
    """The absolute path without empty parts and single dots, which is how stages want it."""
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})
