"""Encrypted partitions."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from osbuild_compose.blueprint.local_files import Beside
from osbuild_compose.blueprint.select import Problem, below
from osbuild_compose.blueprint.values import passphrase
from osbuild_compose.disk import device_mapper
from osbuild_compose.disk.checks.items import Item


def problems(partitions: Sequence[Item], beside: Beside) -> Iterator[Problem]:
    """All that is wrong with them. Reads the passphrases."""
    names: set[str] = set()
    for index, item in enumerate(partitions):
        if not isinstance(item.get("luks"), dict):
            continue
        trail = ("partitions", index, "luks")
        yield from below(trail, _passphrase(item["luks"], beside))
        yield from below(trail, _content(item))
        name = device_mapper.of_luks(*(item.get(key) for key in ("name", "volume_group", "mount", "file_system")))
        if name in names:
            yield trail, f"two encrypted partitions would both be /dev/mapper/{name}", "give one of them a `name`"
        names.add(name)


def _passphrase(source: Mapping[str, Any], beside: Beside) -> Iterator[Problem]:
    keys = [key for key in ("passphrase_file", "passphrase_variable") if isinstance(source.get(key), str)]
    if len(source) != 1 or len(keys) != 1:
        yield (), "`luks` says where the passphrase is", "write passphrase_file or passphrase_variable, one of them"
        return
    try:
        passphrase.read(source, beside, os.environ)
    except ValueError as error:
        hint = "the path is relative to the blueprint's directory" if keys == ["passphrase_file"] else "export it"
        yield (keys[0],), str(error), hint


def _content(item: Item) -> Iterator[Problem]:
    """What there is to encrypt."""
    if item.get("verity") is True:
        what = "`luks` and `verity` do not go together: hashes of what is encrypted anew each time"
        yield (), what, "leave one out"
    if not any(key in item for key in ("mount", "file_system", "volume_group", "subvolumes", "type")):
        yield (), "there is nothing to encrypt: no file system", "add `mount` or `file_system`"
