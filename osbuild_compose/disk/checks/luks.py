"""Encrypted partitions."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.disk import device_mapper
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import InvalidValueError, Problem, within


def problems(partitions: Sequence[Item], local_files: LocalFiles) -> Iterator[Problem]:
    """All that is wrong with them. Reads the passphrases."""
    names: set[str] = set()
    for index, item in enumerate(partitions):
        if not isinstance(item.get("luks"), dict):
            continue
        trail = ("partitions", index, "luks")
        yield from within(trail, _passphrase(item["luks"], local_files))
        yield from within(trail, _content(item))
        name = device_mapper.of_luks(*(item.get(key) for key in ("name", "volume_group", "mount", "file_system")))
        if name in names:
            yield Problem(
                trail, f"two encrypted partitions would both be /dev/mapper/{name}", "give one of them a `name`"
            )
        names.add(name)


def _passphrase(source: Mapping[str, Any], local_files: LocalFiles) -> Iterator[Problem]:
    keys = [key for key in ("passphrase_file", "passphrase_variable") if isinstance(source.get(key), str)]
    if len(source) != 1 or len(keys) != 1:
        yield Problem(
            (), "`luks` says where the passphrase is", "write passphrase_file or passphrase_variable, one of them"
        )
        return
    try:
        local_files.passphrase(source, os.environ)
    except InvalidValueError as error:
        yield error.problem.within(keys[0])


def _content(item: Item) -> Iterator[Problem]:
    """What there is to encrypt."""
    if item.get("verity") is True:
        what = "`luks` and `verity` do not go together: hashes of what is encrypted anew each time"
        yield Problem((), what, "leave one out")
    if not any(key in item for key in ("mount", "file_system", "volume_group", "subvolumes", "type")):
        yield Problem((), "there is nothing to encrypt: no file system", "add `mount` or `file_system`")
