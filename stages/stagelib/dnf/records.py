"""The databases of rpm and dnf 4, made independent of when and how often they were written.

Both are SQLite in WAL mode: what is in the log goes into the database, and log and shared memory go. rpm takes its
times of installation from SOURCE_DATE_EPOCH by itself; dnf's history does not.
"""

import os
import sqlite3
from contextlib import closing

from stagelib import intree

# https://github.com/rpm-software-management/libdnf/blob/dnf-4-master/libdnf/transaction/sql/create.sql
HISTORY = "/var/lib/dnf/history.sqlite"
RPM = "rpmdb.sqlite"


def settle(tree: str, dbpath: str, epoch: int) -> None:
    """Leave one file of each database, with no time in it that is later than `epoch` (seconds since 1970)."""
    for path in (f"{dbpath}/{RPM}", HISTORY):
        host = intree.resolve(tree, path)
        if os.path.isfile(host):
            with closing(sqlite3.connect(host, isolation_level=None)) as database:
                if path == HISTORY:
                    _forget(database, epoch)
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                database.execute("VACUUM")
            for suffix in ("-wal", "-shm"):
                intree.remove(tree, path + suffix)


def _forget(history: sqlite3.Connection, epoch: int) -> None:
    """Take the clock, our command line and the output of scripts out of the transactions, but keep their reasons."""
    history.execute("UPDATE trans SET dt_begin = min(dt_begin, ?), dt_end = min(dt_end, ?)", (epoch, epoch))
    history.execute("UPDATE trans SET cmdline = 'osbuild-compose' WHERE cmdline LIKE '%--installroot=%'")
    history.execute("DELETE FROM console_output")
