"""The tree's own host name: what programs of the tree see as that of the machine, and how they resolve it."""

import re

from stagelib import tree_paths

PATH = "/etc/hostname"
HOSTS = "/etc/hosts"
DEFAULT = "localhost"  # as systemd names a machine without /etc/hostname
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
LONGEST = 64  # of the kernel, uname(2)

OWN_ADDRESS = "127.0.1.1"
# The text of Debian's netbase.
DEFAULT_HOSTS = """\
127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters

"""


def of_tree(tree: str) -> str:
    """The name in the tree's /etc/hostname (hostname(5)); DEFAULT when it has none that the kernel takes."""
    try:
        text = tree_paths.text_or_none(tree, PATH, errors="replace") or ""
    except OSError:  # not a file: the tree's own programs fail at it, too
        return DEFAULT
    names = (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    name = next(names, DEFAULT)
    return name if NAME.fullmatch(name) and len(name) <= LONGEST else DEFAULT


def with_own_name(hosts: str, name: str) -> str:
    """The text of /etc/hosts with a line for the system's own name, and its short form if it has dots."""
    short = name.partition(".")[0]
    names = name if short == name else f"{name} {short}"
    lines = [line for line in hosts.splitlines() if line.split()[:1] != [OWN_ADDRESS]]
    if name != DEFAULT:
        after_localhost = 1 if lines and lines[0].startswith("127.0.0.1") else 0
        lines.insert(after_localhost, f"{OWN_ADDRESS}\t{names}")
    return "\n".join(lines) + "\n"
