"""What steps are expected to take, from what they took before: a pure function of recorded times."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def names(name: str, options: Mapping[str, Any], *, is_first: bool) -> tuple[str, str]:
    """What the time that a step took is recorded under: its program with its options, and its program alone.

    The first stage of a pipeline, which makes a tree of nothing, is another thing than later ones of the same program.
    """
    call = json.dumps([name, options], sort_keys=True).encode()
    return hashlib.sha256(call).hexdigest(), f"{name} first" if is_first else name


def expected(costs: Mapping[str, float], candidates: Sequence[str]) -> float | None:
    """The seconds recorded under the first of the candidates that is known; None if none is."""
    return next((costs[one] for one in candidates if one in costs), None)
