"""Units that systemd starts: links in directories NAME.wants and NAME.requires, systemd.unit(5)."""

from dataclasses import dataclass

from osbuild_compose.inspecting.tree import TooMuchError, Tree

_ADMIN = "/etc/systemd/system"
_VENDOR = ("/usr/lib/systemd/system", "/lib/systemd/system")
_MAX_UNITS = 100_000


@dataclass(frozen=True)
class Service:
    """An enabled unit, and the units that start it."""

    unit: str
    wanted_by: tuple[str, ...]


@dataclass(frozen=True)
class Services:
    """Enabled and masked units. default_target is None without systemd."""

    default_target: str | None
    enabled: tuple[Service, ...]
    masked: tuple[str, ...]


def services(tree: Tree) -> Services:
    """The units that were enabled in /etc, without those that units in /usr/lib start by default.

    Raises TooMuchError.
    """
    wanted: dict[str, list[str]] = {}
    masked = []
    count = 0
    for name in tree.names(_ADMIN):
        starter, dot, kind = name.rpartition(".")
        if dot and kind in ("wants", "requires"):
            units = tree.names(f"{_ADMIN}/{name}")
            count += len(units)
            if count > _MAX_UNITS:  # symlinks may make many directories of a few
                raise TooMuchError(f"more than {_MAX_UNITS} units are enabled")
            for unit in units:
                wanted.setdefault(unit, []).append(starter)
        elif tree.link(f"{_ADMIN}/{name}") == "/dev/null":
            masked.append(name)
    enabled = tuple(Service(unit, tuple(sorted(set(by)))) for unit, by in sorted(wanted.items()))
    return Services(_default_target(tree), enabled, tuple(masked))


def _default_target(tree: Tree) -> str | None:
    for directory in (_ADMIN, *_VENDOR):
        target = tree.link(f"{directory}/default.target")
        if target:
            return target.rpartition("/")[2]
    return None
