"""Users who can log in: passwd(5), shadow(5), group(5)."""

from dataclasses import dataclass
from functools import cache

from osbuild_compose.inspecting.tree import TooMuchError, Tree

_NO_LOGIN = ("nologin", "false", "sync", "shutdown", "halt", "true")
_MAX = 4 * 1024**2  # bytes of a file
_MAX_USERS = 10_000  # who can log in


@dataclass(frozen=True)
class User:
    """A user who can log in. password is "set", "locked", "empty" (no password is needed) or None if unknown."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    groups: tuple[str, ...]
    password: str | None
    ssh_keys: int


def users(tree: Tree) -> tuple[User, ...]:
    """The users whose shell allows a login, by user id. Raises TooMuchError, and as Tree.read does."""
    shadow = {fields[0]: fields[1] for fields in _rows(tree, "/etc/shadow", 2)}
    groups = _rows(tree, "/etc/group", 4)
    names = {fields[2]: fields[0] for fields in groups}
    members: dict[str, list[str]] = {}
    for fields in groups:
        for user in fields[3].split(","):
            members.setdefault(user, []).append(fields[0])
    keys = cache(lambda home: _ssh_keys(tree, home))
    found: list[User] = []
    for name, field, uid, gid, _, home, shell in _rows(tree, "/etc/passwd", 7):
        if not uid.isascii() or not uid.isdecimal() or not gid.isdecimal() or shell.rpartition("/")[2] in _NO_LOGIN:
            continue
        if len(found) == _MAX_USERS:
            raise TooMuchError(f"more than {_MAX_USERS} users can log in")
        password = shadow.get(name) if field == "x" else field
        found.append(
            User(
                name=name,
                uid=int(uid[:10]),
                gid=int(gid[:10]),
                home=home,
                shell=shell or "/bin/sh",
                groups=tuple(
                    dict.fromkeys([names.get(gid, gid), *sorted(members.get(name, []))])
                ),  # the primary group first
                password=None if password is None else password_state(password),
                ssh_keys=keys(home),
            )
        )
    return tuple(sorted(found, key=lambda user: (user.uid, user.name)))


def password_state(field: str) -> str:
    """The state of a password, by the second field of shadow(5): "set", "locked" or "empty"."""
    if field == "":
        return "empty"
    return "set" if field.startswith("$") or (len(field) == 13 and field[0] not in "!*") else "locked"


def _ssh_keys(tree: Tree, home: str) -> int:
    text = tree.text(f"{home}/.ssh/authorized_keys", _MAX) or ""
    return sum(1 for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def _rows(tree: Tree, path: str, width: int) -> list[list[str]]:
    """The first `width` fields of each line that has at least so many."""
    lines = (tree.text(path, _MAX) or "").splitlines()
    return [fields[:width] for line in lines if len(fields := line.split(":")) >= width]
