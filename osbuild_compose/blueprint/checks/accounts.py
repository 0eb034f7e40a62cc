"""Users and groups: passwords, SSH keys, expiry dates, ids."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.convert import days
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.blueprint.values import credentials
from osbuild_compose.problem import Problem, within


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
