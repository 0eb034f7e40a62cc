"""Give files that were unpacked without dpkg the owners and modes that packages' preinsts have told dpkg for them."""

import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stagelib import accounts, tree_paths
from stagelib.apt.extract import Unpacked

DATABASE = "/var/lib/dpkg/statoverride"


@dataclass(frozen=True)
class Override:
    """A line of dpkg's database of overrides: what a file has instead of the archive's owners and mode."""

    path: str
    uid: int
    gid: int
    mode: int


def apply(tree: str, unpacked: Iterable[Unpacked]) -> None:
    """Change the files and directories of these packages that the tree's database names."""
    text = tree_paths.text_or_none(tree, DATABASE, errors="surrogateescape")
    if not text:
        return
    users = {name: user.uid for name, user in accounts.users(tree).items()}
    overrides = parse(text, users, accounts.groups(tree))
    ours = {path for files in unpacked for path in files.paths}
    for one in overrides:
        found = tree_paths.lookup(tree, one.path, follow_last=False) if one.path in ours else None
        if found is not None and not stat.S_ISLNK(found.st_mode):
            tree_paths.change(tree, one.path, mode=one.mode, uid=one.uid, gid=one.gid)


LINE = re.compile(r"(\S+) (\S+) ([0-7]{1,5}) (/.*)")
NUMBER = re.compile(r"#([0-9]{1,9})")


def parse(text: str, users: Mapping[str, int], groups: Mapping[str, int]) -> list[Override]:
    """The overrides of the database: lines of owner, group, octal mode and path, the former two as names or #ID.

    Left out is what dpkg cannot read either, and then says so: also users and groups that do not exist.
    """
    found = []
    for match in filter(None, map(LINE.fullmatch, text.splitlines())):
        uid, gid = _id(match[1], users), _id(match[2], groups)
        if uid is not None and gid is not None:
            found.append(Override(match[4], uid, gid, int(match[3], 8)))
    return found


def _id(word: str, names: Mapping[str, int]) -> int | None:
    number = NUMBER.fullmatch(word)
    return int(number[1]) if number else names.get(word)
