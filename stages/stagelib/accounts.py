"""The tree's users and groups, read from its own etc/passwd and etc/group."""

from dataclasses import dataclass

from stagelib import suggest, tree_paths
from stagelib.errors import StageError

PASSWD_FIELDS = 7
GROUP_FIELDS = 4
LAST_ID = (1 << 32) - 2


@dataclass(frozen=True)
class User:
    """One line of etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str


def users(tree: str) -> dict[str, User]:
    """The tree's users by name; {} when there is no etc/passwd. Malformed lines are skipped."""
    found = {}
    for fields in _lines(tree, "etc/passwd"):
        if len(fields) == PASSWD_FIELDS and _is_id(fields[2]) and _is_id(fields[3]):
            found[fields[0]] = User(fields[0], int(fields[2]), int(fields[3]), fields[5])
    return found


def groups(tree: str) -> dict[str, int]:
    """The tree's groups: name to gid; {} when there is no etc/group."""
    return {
        fields[0]: int(fields[2])
        for fields in _lines(tree, "etc/group")
        if len(fields) == GROUP_FIELDS and _is_id(fields[2])
    }


def uid_of(tree: str, owner: int | str) -> int:
    """The uid for a number or a name. Raises StageError naming a user that the tree does not have."""
    if isinstance(owner, int):
        return owner
    known = users(tree)
    if owner not in known:
        raise StageError(f"the tree has no user {owner!r}", suggest.did_you_mean(owner, known))
    return known[owner].uid


def gid_of(tree: str, group: int | str) -> int:
    """The gid for a number or a name. Raises StageError naming a group that the tree does not have."""
    if isinstance(group, int):
        return group
    known = groups(tree)
    if group not in known:
        raise StageError(f"the tree has no group {group!r}", suggest.did_you_mean(group, known))
    return known[group]


def remove_leftovers(tree: str) -> None:
    """Remove the backups and the lock file that the account tools leave behind."""
    tree_paths.remove(tree, "etc/.pwd.lock")
    for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"):
        tree_paths.remove(tree, f"etc/{name}-")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(LAST_ID)) and int(text) <= LAST_ID


def _lines(tree: str, path: str) -> list[list[str]]:
    return [line.split(":") for line in (tree_paths.text_or_none(tree, path) or "").splitlines()]
