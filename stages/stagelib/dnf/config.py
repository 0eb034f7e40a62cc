"""A private configuration of rpm and dnf, isolated from the host's repositories, variables, plugins and macros."""

import os
from dataclasses import dataclass

from stagelib.bls import UNKNOWN_ROOT
from stagelib.dnf.options import Options, Repository

# rpm reads them from $HOME/.rpmmacros; dnf has no option for macros.
MACROS = """\
%_dbpath {dbpath}
%_netsharedpath {not_touched}
%_pkgverify_level digest
%_install_langs {languages}
%__plugindir /nonexistent
"""
NOT_TOUCHED = "/dev:/proc:/sys"
PEM = ".pem"


@dataclass(frozen=True)
class PrivateHome:
    """The directory that is dnf's $HOME, with its configuration in it."""

    path: str

    @property
    def config(self) -> str:
        """dnf's configuration file."""
        return f"{self.path}/dnf.conf"

    @property
    def nothing(self) -> str:
        """An empty directory, in place of the host's directories."""
        return f"{self.path}/nothing"

    @property
    def cmdline(self) -> str:
        """The file that the packages' scripts see as /proc/cmdline."""
        return f"{self.path}/cmdline"


def make(path: str, dbpath: str, *, languages: str = "all") -> PrivateHome:
    """Fill the new directory `path` for rpm. dbpath: the tree's rpm database; languages: rpm's %_install_langs."""
    home = PrivateHome(path)
    os.makedirs(home.nothing)
    # %_netsharedpath: rpm must not change the three directories, which are mount points.
    # %__plugindir: the host's plugins would label by the host's policy, or notify the host's systemd.
    write(f"{path}/.rpmmacros", MACROS.format(dbpath=dbpath, languages=languages, not_touched=NOT_TOUCHED))
    write(home.cmdline, f"{UNKNOWN_ROOT}\n")
    return home


def skip_files(home: PrivateHome, paths: str) -> None:
    """Have rpm skip more files, each with a colon in front."""
    if paths:
        with open(f"{home.path}/.rpmmacros", "a", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"%_netsharedpath {NOT_TOUCHED}{paths}\n")


def configure(home: PrivateHome, options: Options, pinned: frozenset[str]) -> None:
    """Write dnf's configuration.

    pinned: ids of repositories with cached metadata of the requested checksum, for which dnf looks for no newer ones.
    """
    sections = [
        "[main]",
        "gpgcheck=1",
        f"localpkg_gpgcheck={0 if options.archives else 1}",  # each has the digest that was asked for
        "keepcache=1",
        "deltarpm=0",  # would need another program of the host
        "color=never",
        f"module_platform_id={options.module_platform_id}",
    ]
    for one in options.repositories:
        sections += _section(home.path, one, pinned=one.id in pinned)
    write(home.config, "\n".join(sections) + "\n")


def forget_secrets(home: PrivateHome) -> None:
    """Remove the keys for downloading before packages' scripts run."""
    for entry in os.scandir(home.path):
        if entry.name.endswith(PEM):
            os.unlink(entry.path)


def _section(path: str, one: Repository, *, pinned: bool) -> list[str]:
    lines = [
        f"[{one.id}]",
        f"name={one.url}",
        f"{one.kind}={one.url}",
        "enabled=1",
        "skip_if_unavailable=0",
        "repo_gpgcheck=0",
        f"gpgcheck={0 if one.key is None else 1}",
        f"metadata_expire={'never' if pinned else 0}",
    ]
    if one.key is not None:
        write(f"{path}/{one.id}.asc", one.key)
        lines.append(f"gpgkey=file://{path}/{one.id}.asc")
    if one.priority is not None:
        lines.append(f"priority={one.priority}")
    for name, text in one.ssl.items():
        write(f"{path}/{one.id}-{name}{PEM}", text)
        lines.append(f"{name}={path}/{one.id}-{name}{PEM}")
    return lines


def write(path: str, text: str) -> None:
    """Create a file with mode 0600."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
