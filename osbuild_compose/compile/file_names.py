"""The names of image files: made of what the blueprint is, so that the images of two profiles have two names."""

import re
from collections.abc import Mapping, Sequence

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import InputError

VARIABLES = ("name", "profile", "version", "distro", "arch")
MAX_LENGTH = 200  # bytes; file systems take 255, with the extension

_USE = re.compile(r"([-_.+])?\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def of_images(pattern: str | None, blueprint: Blueprint, profiles: Sequence[str]) -> str:
    """The name of the blueprint's image files, without the extension.

    pattern is a text with `${name}` and others of VARIABLES; an empty one goes with the `-`, `_`, `.` or `+` before it.
    None means the blueprint's name, and the profiles unless they are in it. Raises InputError for a wrong pattern.
    """
    profile = "-".join(profiles)
    if pattern is None:
        pattern = "${name}" if blueprint.name.endswith(profile) else "${name}-${profile}"
    values = {
        "name": blueprint.name,
        "profile": profile,
        "version": blueprint.version or "",
        "distro": blueprint.distro,
        "arch": blueprint.arch,
    }

    return _filled(pattern, values)


def check(pattern: str) -> None:
    """Raises InputError for a pattern that is wrong for every blueprint."""
    _filled(pattern, dict.fromkeys(VARIABLES, "a"))


def _filled(pattern: str, values: Mapping[str, str]) -> str:
    """The pattern with the values in it; all of VARIABLES have one."""

    def value_of(use: re.Match[str]) -> str:
        name = use[2]
        if name not in values:
            hint = did_you_mean(name, VARIABLES, otherwise=f"it is one of: {', '.join(VARIABLES)}")
            raise InputError(f"the name of image files {pattern}: there is no variable `{name}`", hint=hint)
        return f"{use[1] or ''}{values[name]}" if values[name] else ""

    made = _USE.sub(value_of, pattern)
    if not _NAME.fullmatch(made) or len(made) > MAX_LENGTH:
        raise InputError(
            f"the name of image files {pattern} gives {made!r}",
            hint=f"a name has at most {MAX_LENGTH} letters, digits, `.`, `_`, `+` and `-`, no directory, "
            "and no extension: that is the format's",
        )
    return made
