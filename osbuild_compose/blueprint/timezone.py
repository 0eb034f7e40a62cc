"""Time zones, by what this machine knows of them."""

import zoneinfo
from pathlib import Path

from osbuild_compose.document.suggest import nearest


def problem(zone: str) -> tuple[str, str]:
    """What is wrong with the name of a zone, and what to do; "" and "" if nothing, or if zones are not known here.

    The image has its own list, by which the zone is set; asking this machine's tells of a mistake minutes earlier.
    """
    directories = [Path(path) for path in zoneinfo.TZPATH if (Path(path) / "UTC").is_file()]
    if not directories or any((path / zone).is_file() for path in directories):
        return "", ""
    near = nearest(zone, zoneinfo.available_timezones())
    return f'there is no time zone "{zone}"', f"did you mean `{near}`?" if near else "timedatectl list-timezones"
