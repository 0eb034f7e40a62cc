"""Reducing an imported blueprint to what our schema accepts, with a note for everything left out."""

from collections.abc import Collection
from typing import Any

from osbuild_compose.blueprint import load
from osbuild_compose.document.composition.synthetic import error_trails, to_document, without
from osbuild_compose.document.node import Trail
from osbuild_compose.errors import ComposeError
from osbuild_compose.importing.source import Note

NAME = "imported"
MAX_ROUNDS = 100


def fit(data: dict[str, Any], distros: Collection[str]) -> tuple[dict[str, Any], list[Note]]:
    """The data without what our schema refuses. Raises InputError if the name or the distribution is refused."""
    notes: list[Note] = []
    for _ in range(MAX_ROUNDS):
        document = to_document(data, NAME)
        try:
            load.check(document, distros)
        except ComposeError as error:
            wrong = {trails[0]: item for item in error.each() if (trails := error_trails(document, item))}
            if not wrong or any(trail[0] in ("name", "distro") for trail in wrong):
                raise
            # The innermost first: what contains it may be valid without it.
            depth = max(map(len, wrong))
            inner = {trail for trail in wrong if len(trail) == depth}
            notes += [Note(_shown(trail), wrong[trail].brief) for trail in sorted(inner, key=str)]
            data = without(data, inner)
        else:
            return data, notes
    raise AssertionError("every round removes something")


def _shown(trail: Trail) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in trail).lstrip(".")
