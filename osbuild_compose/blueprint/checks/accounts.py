"""Users and groups: passwords, SSH keys, expiry dates, ids."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.convert import days
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.blueprint.values import credentials
from osbuild_compose.problem import Problem, within

_FIRST_OF_PEOPLE = 1000  # lower numbers are for groups of packages: login.defs(5)


def problems(data: Any) -> Iterator[Problem]:
    """All problems of `users` and `groups`."""
    for trail, text in texts(data, "users", ANY, "password"):
        yield from within(trail, credentials.password_problems(text))
    for trail, line in texts(data, "users", ANY, "ssh_keys", ANY):
        yield from within(trail, credentials.ssh_key_problems(line))
    for trail, text in texts(data, "users", ANY, "expiredate"):
        try:
            days(text)
        except ValueError:
            yield Problem(trail, f"`expiredate`: there is no day {text}")
    yield from repeated(data, "users", ANY, "name")
    yield from repeated(data, "groups", ANY, "name")
    for key, number_key in (("users", "uid"), ("groups", "gid")):
        seen: set[int] = set()
        for trail, number in values(data, key, ANY, number_key):
            if isinstance(number, int):
                if number in seen:
                    hint = "give one of them another number"
                    yield Problem(trail, f"`{key}` has the {number_key} {number} twice", hint)
                seen.add(number)
    yield from _primary_groups(data)


def _primary_groups(data: Any) -> Iterator[Problem]:
    """Users whose `gid` no group has: one is made for each, under the user's name, which may not be possible."""
    numbers = {name: data["groups"][trail[1]].get("gid") for trail, name in texts(data, "groups", ANY, "name")}
    seen: dict[int, str] = {}
    for trail, number in values(data, "users", ANY, "gid"):
        name = data["users"][trail[1]].get("name")
        if not isinstance(name, str) or not isinstance(number, int) or number in numbers.values():
            continue
        if name in numbers:
            hint = f"write {{name: {name}, gid: {number}}} in `groups`"
            yield Problem(trail, f"`gid`: the group {name} in `groups` has another number than {number}", hint)
        elif number in seen and number >= _FIRST_OF_PEOPLE:
            hint = f"add it to `groups`, for example: {{name: {seen[number]}, gid: {number}}}"
            yield Problem(trail, f"`gid`: {seen[number]} and {name} have the group {number}, which has no name", hint)
        seen.setdefault(number, name)
