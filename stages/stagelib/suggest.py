"""Suggestions for unknown names."""

import difflib
from collections.abc import Iterable

MOST = 3


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean a, b or c?` with the names most similar to `word`; "" when none is similar."""
    by_lower = {name.lower(): name for name in sorted(known, reverse=True)}
    near = [by_lower[name] for name in difflib.get_close_matches(word.lower(), by_lower, n=MOST)]
    if not near:
        return ""
    return f"did you mean {' or '.join(filter(None, (', '.join(near[:-1]), near[-1])))}?"
