"""What may be meant as it stands and probably is not: keys and hashes that let nobody in.

A blueprint of an example has them, so they are told and nothing is refused.
"""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.select import ANY, Problem, texts
from osbuild_compose.blueprint.values import password, ssh_key


def problems(data: Any) -> Iterator[Problem]:
    """All of them, in a blueprint that is right."""
    for trail, line in texts(data, "users", ANY, "ssh_keys", ANY):
        if wrong := ssh_key.problem(line):
            hint = "write the whole line of a file such as ~/.ssh/id_ed25519.pub"
            yield trail, f"`ssh_keys` {wrong}: nobody can log in with it", hint
    for trail, text in texts(data, "users", ANY, "password"):
        if wrong := password.doubt(text):
            yield trail, f"`password` {wrong}: nobody can log in with it", "make a hash with: openssl passwd -6"
