"""Where the tree's rpm keeps its database, and the databases of rpm and dnf made reproducible.

The host's rpm would put the database where the host's is (on Debian even below $HOME), and the system would start with
an empty `rpm -qa`. The rule, first match:

1. the option `dbpath`;
2. a database that the tree has already;
3. the tree's own rpm macros (%_dbpath), when an earlier stage has installed rpm;
4. the release: Fedora 36, Enterprise Linux 10 and everything newer keep it in /usr/lib/sysimage/rpm, what is older in
   /var/lib/rpm (https://fedoraproject.org/wiki/Changes/RelocateRPMToUsr).

When all is installed the tree's own macros are asked again, and have to agree.

The databases are SQLite in WAL mode. rpm and dnf5 take their times from SOURCE_DATE_EPOCH by themselves; the history of
dnf 4 does not.
"""

import re

from stagelib import beside, tree_paths
from stagelib.dnf import sqlite_files
from stagelib.dnf.options import major
from stagelib.errors import StageError

NEW = "/usr/lib/sysimage/rpm"
OLD = "/var/lib/rpm"
FILES = ("rpmdb.sqlite", "Packages.db", "Packages")  # sqlite; ndb; bdb
FIRST_FEDORA = 36
FIRST_ENTERPRISE = 10
MACRO = re.compile(r"^[ \t]*%_dbpath[ \t]+(\S+)[ \t]*$", re.MULTILINE)
LARGEST = 1 << 20  # bytes of a file of macros
# In the order in which rpm reads them: the last definition of a macro wins.
MACRO_FILES = ("usr/lib/rpm/macros", "usr/lib/rpm/macros.d", "usr/lib/rpm/redhat/macros", "etc/rpm")


def location(tree: str, wanted: str | None, releasever: str) -> str:
    """The directory of the database as a path in the tree. wanted: the option `dbpath`."""
    if wanted:
        return wanted
    for directory in (NEW, OLD):
        if any(tree_paths.exists(tree, f"{directory}/{name}") for name in FILES):
            return directory
    return location_from_macros(tree) or location_of_release(releasever)


def location_of_release(releasever: str) -> str:
    """The directory of a release's database. A name instead of a number ("rawhide") means a new release."""
    number = major(releasever)
    enterprise = number is not None and number < 20
    old = number is not None and number < (FIRST_ENTERPRISE if enterprise else FIRST_FEDORA)
    return OLD if old else NEW


def location_from_macros(tree: str) -> str | None:
    """The %_dbpath of the tree's rpm; None when it has no rpm, or the value is computed."""
    found = None
    for name in MACRO_FILES:
        names = [f"{name}/{one}" for one in tree_paths.list_names(tree, name) if one.startswith("macros")]
        for file in names or [name]:
            for match in MACRO.finditer(tree_paths.text_or_none(tree, file, limit=LARGEST) or ""):
                found = _expanded(match[1])
    return found


def _expanded(value: str) -> str | None:
    """The value with the macros expanded that distributions use; None when there are others."""
    value = value.replace("%{_usr}", "/usr").replace("%{_var}", "/var").replace("%{_localstatedir}", "/var")
    return None if "%" in value else value


def check_location(tree: str, used: str) -> None:
    """Raise StageError when the tree's own rpm does not look for its database in `used`."""
    wanted = location_from_macros(tree)
    if wanted is None or tree_paths.resolve(tree, wanted) == tree_paths.resolve(tree, used):
        return
    raise StageError(
        f"the packages were recorded in {used}, but the installed rpm keeps its database in {wanted}",
        f'set "dbpath": "{wanted}"',
    )


# https://github.com/rpm-software-management/libdnf/blob/dnf-4-master/libdnf/transaction/sql/create.sql
HISTORY = "/var/lib/dnf/history.sqlite"
# https://github.com/rpm-software-management/dnf5/blob/main/libdnf5/transaction/db/create.sql
HISTORY_5 = "/usr/lib/sysimage/libdnf5/transaction_history.sqlite"
RPM = "rpmdb.sqlite"
LOCKS = (".rpm.lock", ".keyring.lock")  # rpm's, the latter from 6.0 on


def make_reproducible(tree: str, dbpath: str, epoch: int) -> None:
    """Reduce each database to one file without times later than `epoch` (seconds since 1970). Raises StageError."""
    for path in (f"{dbpath}/{RPM}", HISTORY, HISTORY_5):
        if tree_paths.is_file(tree, path):
            kind = sqlite_files.HISTORY if path in (HISTORY, HISTORY_5) else sqlite_files.OTHER
            host = tree_paths.resolve(tree, path)
            if beside.run_module(tree, sqlite_files.__name__, host, str(epoch), kind) != 0:
                raise StageError(f"the database {path} is damaged", "the log says more")
            for suffix in ("-wal", "-shm", "-journal"):
                tree_paths.remove(tree, path + suffix)
    for name in LOCKS:
        tree_paths.remove(tree, f"{dbpath}/{name}")
