"""Labels of file systems."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.problem import Problem

LIMITS = {"ext4": 16, "xfs": 12, "vfat": 11, "swap": 15, "btrfs": 16}


def problems(file_system: str, label: Any) -> Iterator[Problem]:
    """Why a file system of this kind cannot have the label."""
    limit = LIMITS.get(file_system, 0)
    if isinstance(label, str) and len(label) > limit:
        what = f"a label of {file_system} has {limit} characters at most" if limit else f"{file_system} has no label"
        yield Problem(("label",), what)
