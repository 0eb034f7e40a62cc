"""The pages of the documentation that errors refer to."""

from collections.abc import Sequence

BLUEPRINT = "docs/reference/blueprint.md"
COMPOSITION = "docs/reference/composition.md"
ERRORS = "docs/reference/errors.md"
DISTRO = "docs/reference/templates.md#distroyaml"


def of_key(trail: Sequence[str | int]) -> str:
    """The heading of the reference that is about what is at the end of the trail."""
    start = 2 if tuple(trail[:1]) == ("profiles",) and len(trail) > 2 else 0
    return f"{BLUEPRINT}#{trail[start]}" if trail else f"{BLUEPRINT}#keys"


def of_schema(name: str, trail: Sequence[str | int]) -> str:
    """The same of a document by the schema `name`: a blueprint, or a distro.yaml."""
    return of_key(trail) if name == "blueprint" else DISTRO
