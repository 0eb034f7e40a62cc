"""The databases of rpm and dnf, made independent of when and how often they were written.

They are SQLite in WAL mode: what is in the log goes into the database, which is left in the mode that needs no files
beside it, so that it can be read on a read-only file system. rpm and dnf5 take their times from SOURCE_DATE_EPOCH by
themselves; the history of dnf 4 does not.
"""

import os
import sqlite3
from contextlib import closing

from stagelib import intree

# https://github.com/rpm-software-management/libdnf/blob/dnf-4-master/libdnf/transaction/sql/create.sql
HISTORY = "/var/lib/dnf/history.sqlite"
# https://github.com/rpm-software-management/dnf5/blob/main/libdnf5/transaction/db/create.sql
HISTORY_5 = "/usr/lib/sysimage/libdnf5/transaction_history.sqlite"
RPM = "rpmdb.sqlite"
LOCKS = (".rpm.lock", ".keyring.lock")  # rpm's, the latter from 6.0 on
US = "osbuild-compose"
OUR_COMMAND = "%--installroot=%"


def settle(tree: str, dbpath: str, epoch: int) -> None:
    """Leave one file of each database, with no time in it that is later than `epoch` (seconds since 1970)."""
    for path in (f"{dbpath}/{RPM}", HISTORY, HISTORY_5):
        host = intree.resolve(tree, path)
        if os.path.isfile(host):
            with closing(sqlite3.connect(host, isolation_level=None)) as database:
                if path in (HISTORY, HISTORY_5):
                    _forget(database, epoch)
                database.execute("PRAGMA journal_mode = DELETE")
                database.execute("VACUUM")
            for suffix in ("-wal", "-shm", "-journal"):
                intree.remove(tree, path + suffix)
    for name in LOCKS:
        intree.remove(tree, f"{dbpath}/{name}")


def _forget(history: sqlite3.Connection, epoch: int) -> None:
    """Take the clock, our command line and the output of scripts out of the transactions, but keep their reasons."""
    history.execute("UPDATE trans SET dt_begin = min(dt_begin, ?), dt_end = min(dt_end, ?)", (epoch, epoch))
    if "cmdline" in {name for _, name, *_ in history.execute("PRAGMA table_info(trans)")}:  # dnf 4
        history.execute("UPDATE trans SET cmdline = ? WHERE cmdline LIKE ?", (US, OUR_COMMAND))
        history.execute("DELETE FROM console_output")
    else:
        history.execute("UPDATE trans SET description = ? WHERE description LIKE ?", (US, OUR_COMMAND))
