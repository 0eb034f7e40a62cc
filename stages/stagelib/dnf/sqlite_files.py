"""Make a database of rpm or dnf reproducible: `python3 -m stagelib.dnf.sqlite_files FILE EPOCH KIND`.

What is in the log goes into the database, which is left in the mode that needs no files beside it, so that it can be
read on a read-only file system. It runs beside the tree (stagelib.beside), because a database of the tree may be one
that a package's script has made to harm its reader.
"""

import sqlite3
import sys
from contextlib import closing

HISTORY, OTHER = "history", "other"
US = "osbuild-compose"
OUR_COMMAND = "%--installroot=%"


def main(path: str, epoch: int, kind: str) -> int:
    """Change the file. epoch: the latest time in a HISTORY. Returns 0, or 1 after printing an error."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA trusted_schema = OFF")
            if kind == HISTORY:
                _forget(database, epoch)
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("VACUUM")
    except sqlite3.Error as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 1
    return 0


def _forget(history: sqlite3.Connection, epoch: int) -> None:
    """Remove times, our command line and scripts' output from the transactions, but keep the packages' reasons."""
    history.execute("UPDATE trans SET dt_begin = min(dt_begin, ?), dt_end = min(dt_end, ?)", (epoch, epoch))
    if "cmdline" in {name for _, name, *_ in history.execute("PRAGMA table_info(trans)")}:  # dnf 4
        history.execute("UPDATE trans SET cmdline = ? WHERE cmdline LIKE ?", (US, OUR_COMMAND))
        history.execute("DELETE FROM console_output")
    else:
        history.execute("UPDATE trans SET description = ? WHERE description LIKE ?", (US, OUR_COMMAND))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
