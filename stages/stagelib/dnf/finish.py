"""What is left to do when the packages are installed, by dnf or by rpm alone."""

from stagelib import bls
from stagelib.apt.clean import date_directories
from stagelib.dnf import clean, database, records


def finish(tree: str, dbpath: str, epoch: int) -> None:
    """Leave a clean tree. dbpath: its rpm database; epoch: seconds since 1970.

    Raises StageError when the tree's own rpm would look for the database in another place.
    """
    database.check(tree, dbpath)
    records.settle(tree, dbpath, epoch)
    bls.set_prefix(tree, "/boot")
    clean.clean(tree)
    date_directories(tree, epoch)
