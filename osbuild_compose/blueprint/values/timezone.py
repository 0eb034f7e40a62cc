"""Time zones by their names.

The image has its own list, by which the zone is set; asking the package tzdata's tells of a mistake minutes earlier.
"""

from importlib import resources

from osbuild_compose.document.suggest import nearest

VARIANTS = ("posix/", "right/")  # directories that Debian's tzdata has besides, each with all of the zones


def problem(zone: str) -> tuple[str, str]:
    """What is wrong with the name of a zone, and what to do; "" and "" if nothing."""
    known = resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    name = zone
    for variant in VARIANTS:
        name = name.removeprefix(variant)
    if name in known:
        return "", ""
    near = nearest(name, known)
    return f'there is no time zone "{zone}"', f"did you mean `{near}`?" if near else "timedatectl list-timezones"
