"""Pages of the documentation that errors refer to."""

from collections.abc import Sequence

BLUEPRINT = "docs/reference/blueprint.md"
COMPOSITION = "docs/reference/composition.md"
ERRORS = "docs/reference/errors.md"
DISTRO = "docs/reference/templates.md#distroyaml"
PROJECT = "docs/how-to/project.md"


def key_page(trail: Sequence[str | int]) -> str:
    """The page and heading about the blueprint key at the end of the trail."""
    start = 2 if tuple(trail[:1]) == ("profiles",) and len(trail) > 2 else 0
    return f"{BLUEPRINT}#{trail[start]}" if trail else f"{BLUEPRINT}#keys"


def schema_page(name: str, trail: Sequence[str | int]) -> str:
    """The page and heading about a key of a document by the schema `name`: a blueprint, a project, a distribution."""
    return {"blueprint": key_page(trail), "project": f"{PROJECT}#the-file"}.get(name, DISTRO)
