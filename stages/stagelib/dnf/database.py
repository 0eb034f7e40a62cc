"""Where the tree's rpm keeps its database.

The host's rpm would put it where the host's is (on Debian even below $HOME), and the system would start with an empty
`rpm -qa`. The rule, first match:

1. the option `dbpath`;
2. a database that the tree has already;
3. the tree's own rpm macros (%_dbpath), when an earlier stage has installed rpm;
4. the release: Fedora 36, Enterprise Linux 10 and everything newer keep it in /usr/lib/sysimage/rpm, what is older in
   /var/lib/rpm (https://fedoraproject.org/wiki/Changes/RelocateRPMToUsr).

When all is installed the tree's own macros are asked again, and have to agree.
"""

import re

from stagelib import intree, lookup
from stagelib.dnf.options import major
from stagelib.stage import StageError

NEW = "/usr/lib/sysimage/rpm"
OLD = "/var/lib/rpm"
FILES = ("rpmdb.sqlite", "Packages.db", "Packages")  # sqlite; ndb; bdb
FIRST_FEDORA = 36
FIRST_ENTERPRISE = 10
MACRO = re.compile(r"^\s*%_dbpath\s+(\S+)\s*$", re.MULTILINE)
# In the order in which rpm reads them: the last one that sets a macro wins.
MACRO_FILES = ("usr/lib/rpm/macros", "usr/lib/rpm/macros.d", "usr/lib/rpm/redhat/macros", "etc/rpm")


def path(tree: str, wanted: str | None, releasever: str) -> str:
    """The directory of the database, as a path of the tree. wanted: the option `dbpath`."""
    if wanted:
        return wanted
    for directory in (NEW, OLD):
        if any(intree.exists(tree, f"{directory}/{name}") for name in FILES):
            return directory
    return from_macros(tree) or of_release(releasever)


def of_release(releasever: str) -> str:
    """Where a release keeps its database. A name instead of a number ("rawhide") is a new one."""
    number = major(releasever)
    enterprise = number is not None and number < 20
    old = number is not None and number < (FIRST_ENTERPRISE if enterprise else FIRST_FEDORA)
    return OLD if old else NEW


def from_macros(tree: str) -> str | None:
    """The %_dbpath of the tree's rpm; None when it has no rpm, or one that computes it."""
    found = None
    for name in MACRO_FILES:
        names = [f"{name}/{one}" for one in lookup.names(tree, name) if one.startswith("macros")]
        for file in names or [name]:
            for match in MACRO.finditer(lookup.text(tree, file) or ""):
                found = _expanded(match[1])
    return found


def _expanded(value: str) -> str | None:
    """The value with the two macros that distributions use in it; None when there are others."""
    value = value.replace("%{_usr}", "/usr").replace("%{_var}", "/var").replace("%{_localstatedir}", "/var")
    return None if "%" in value else value


def check(tree: str, used: str) -> None:
    """Raise StageError when the tree's own rpm looks for its database in another place than `used`."""
    wanted = from_macros(tree)
    if wanted is None or intree.resolve(tree, wanted) == intree.resolve(tree, used):
        return
    raise StageError(
        f"the packages were recorded in {used}, but the installed rpm keeps its database in {wanted}",
        f'set "dbpath": "{wanted}"',
    )
