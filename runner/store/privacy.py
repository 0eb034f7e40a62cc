"""Keeps a store to its owner: trees hold password hashes, keys and tokens."""

import os
import pwd
import stat
from pathlib import Path

from runner.errors import RunnerError, environment_error, input_error
from runner.store.locks import Say

HINT = "choose a directory of your own with --store"
PARTS = ("layers", "refs")  # what every store has; they are made before anything else in it


def make_private(root: Path, say: Say) -> None:
    """Make the store's directory, for its owner only; or if it exists, take from others what they may do there.

    What a group may do is left as it is, so that a store can be shown to a group on purpose. Raises RunnerError for a
    directory of another user, one that everybody can write to, and one with other things in it; OSError.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    try:
        root.mkdir(mode=0o700)
    except FileExistsError:
        _check(root)
    _keep_group(root)
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & stat.S_IRWXO:
        root.chmod(0o700)
        if any(root.iterdir()):
            say(f"others could read the store {root}; now it is only yours")


def private_directory(directory: Path) -> None:
    """Make a directory of a store that is nobody else's business, whatever a group may do with the store."""
    directory.mkdir(mode=0o700, exist_ok=True)
    _keep_group(directory)
    if stat.S_IMODE(directory.stat().st_mode) != 0o700:
        directory.chmod(0o700)


def _keep_group(directory: Path) -> None:
    """Give the directory the caller's group. In a build's namespaces no other exists, and so no right to enter it.

    Raises RunnerError if it was given to another group on purpose.
    """
    info = directory.stat()
    if info.st_gid == os.getegid():
        return
    if info.st_mode & stat.S_IRWXG and not info.st_mode & stat.S_IRWXO:
        raise environment_error(
            f"{directory} belongs to another group than yours", "show it to a group with an access list: setfacl"
        )
    os.chown(directory, -1, os.getegid())


def _check(root: Path) -> None:
    info = root.stat()
    if not stat.S_ISDIR(info.st_mode):
        raise environment_error(f"the store {root} cannot be used: it is not a directory", HINT)
    if info.st_uid != os.geteuid():
        raise _of_another(root, info.st_uid)
    entries = set(os.listdir(root))
    if not entries:
        return
    # A store with a part only is being made by another process, or was when that was killed.
    begun = entries.issubset(PARTS)
    parts = entries.intersection(PARTS)
    if not (begun or parts.issuperset(PARTS)) or any((root / name).stat().st_uid != info.st_uid for name in parts):
        raise input_error(f"{root} has other things in it than a store", hint=f"{HINT}; it is made if it is missing")
    if info.st_mode & stat.S_IWOTH:
        hint = f"{HINT}; what is in this one may be from anybody"
        raise environment_error(f"everybody can write to the store {root}", hint)


def _of_another(root: Path, uid: int) -> RunnerError:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return environment_error(f"the store {root} belongs to another user: {name}", HINT)
