"""The settings of the kernel, sysctl(8), that forbid user namespaces."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ANY = 1 << 63
LEAST_NAMESPACES = 3  # of a run: its own, and one for sandboxes; inspect has one more


@dataclass(frozen=True)
class Setting:
    """A setting: its least and greatest values that allow builds, what to set it to, and whether it binds root too."""

    name: str
    least: int
    greatest: int
    wanted: int
    binds_root: bool = False

    def allows(self, value: int) -> bool:
        """Whether builds are possible with that value."""
        return self.least <= value <= self.greatest


SETTINGS = (
    Setting("user.max_user_namespaces", LEAST_NAMESPACES, ANY, 10000, binds_root=True),
    Setting("kernel.unprivileged_userns_clone", 1, ANY, 1),  # Debian's kernels have it
    # Since Ubuntu 24.04: a program without a profile of its own has no capabilities in a user namespace.
    Setting("kernel.apparmor_restrict_unprivileged_userns", 0, 0, 0),
)


def values(root: Path = Path("/proc/sys")) -> dict[str, int]:
    """The values of these settings, as far as this machine's kernel has them."""
    found = {}
    for setting in SETTINGS:
        with contextlib.suppress(OSError, ValueError):
            found[setting.name] = int((root / setting.name.replace(".", "/")).read_text())
    return found


def forbidding(found: Mapping[str, int], *, is_root: bool) -> list[Setting]:
    """The settings whose values do not let root, or an ordinary user, make user namespaces."""
    return [
        setting
        for setting in SETTINGS
        if (setting.binds_root or not is_root) and setting.name in found and not setting.allows(found[setting.name])
    ]


def command(settings: Sequence[Setting]) -> str:
    """The command that changes settings so that user namespaces can be made."""
    return f"as root: sysctl {' '.join(f'{setting.name}={setting.wanted}' for setting in settings)}"
