"""The mirrors that this machine's own apt uses, read from its lists of sources.

`apt-get indextargets` does not serve: it leaves out sources whose lists are not downloaded, does not say whose key
signs a source nor whether its dates are checked, and took 0.4 s of processor time on Debian 12.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

_OFF = {"no", "false", "without", "off", "disable", "0"}  # what apt takes for "no"


@dataclass(frozen=True)
class HostApt:
    """What apt on this machine uses: mirrors (None where it has no source of the archive), and if it checks dates."""

    main: str | None = None
    security: str | None = None
    check_valid_until: bool = True


@dataclass(frozen=True)
class _Source:
    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str
    check_valid_until: bool


def read(suites: Collection[str], keyring: str = "", root: Path = Path("/")) -> HostApt:
    """The settings of this machine for the archive with these suites, its sources being below `root`.

    Never fails: what cannot be read counts as absent. A source is taken for the archive's own when its suite is one of
    these, with or without `-security`, it has the component main, and the file with its keys, if it names one, has
    `keyring` in its name.
    """
    found: dict[str, _Source] = {}
    for source in _sources(root / "etc/apt"):
        if "main" not in source.components or (source.signed_by and keyring not in source.signed_by):
            continue
        for suite in source.suites:
            codename, _, pocket = suite.partition("-")
            if codename in suites and pocket in {"", "security"}:
                found.setdefault(pocket, source)
    dates = all(source.check_valid_until for source in found.values())
    return HostApt(
        main=found[""].url if "" in found else None,
        security=found["security"].url if "security" in found else None,
        check_valid_until=dates and _global_check_valid_until(root / "etc/apt"),
    )


def _sources(directory: Path) -> Iterator[_Source]:
    for path in [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*"))]:
        if path.suffix not in {".list", ".sources"}:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        found = _deb822(text) if path.suffix == ".sources" else _one_line(text)
        yield from (source for source in found if source.url.startswith(("http://", "https://")))


def _deb822(text: str) -> Iterator[_Source]:
    """The sources of a file in the form of sources.list(5) "DEB822-STYLE FORMAT"."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] in {" ", "\t"}:
                fields[name] = fields.get(name, "") + line
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in _OFF:
            continue
        for url in fields.get("uris", "").split():
            yield _Source(
                url.rstrip("/"),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                fields.get("signed-by", ""),
                fields.get("check-valid-until", "yes").lower() not in _OFF,
            )


def _one_line(text: str) -> Iterator[_Source]:
    """The sources of a file in the form of sources.list(5) "ONE-LINE-STYLE FORMAT"."""
    for line in text.splitlines():
        match = re.fullmatch(r"deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)(?:#.*)?", line.strip())
        if match is None:
            continue
        options = dict(option.split("=", 1) for option in (match[1] or "").split() if "=" in option)
        yield _Source(
            match[2].rstrip("/"),
            (match[3],),
            tuple(match[4].split()),
            options.get("signed-by", ""),
            options.get("check-valid-until", "yes").lower() not in _OFF,
        )


def _global_check_valid_until(directory: Path) -> bool:
    """apt's own Acquire::Check-Valid-Until, asked from apt because its configuration language is its own.

    Not asked where no file can contain it: that is so on most machines, and apt-config takes longer than reading them.
    """
    if "APT_CONFIG" not in os.environ and not _may_be_set(directory):
        return True
    command = ["apt-config", "shell", "VALUE", "Acquire::Check-Valid-Until/b"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return True
    return "VALUE=false" not in [part for line in done.stdout.splitlines() for part in shlex.split(line)]


def _may_be_set(directory: Path) -> bool:
    """Whether apt's configuration mentions the setting, or reads other files than those in `directory`."""
    for path in [directory / "apt.conf", *(directory / "apt.conf.d").glob("*")]:
        try:
            text = path.read_bytes().lower()
        except FileNotFoundError:
            continue
        except OSError:
            return True
        if any(word in text for word in (b"valid-until", b"#include", b"dir::etc", b"dir {", b"dir{")):
            return True
    return False
