"""`--set key=value`: single values of a document replaced from the command line."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from osbuild_compose.document import read
from osbuild_compose.document.read import Document, Step, Trail
from osbuild_compose.errors import InputError, Location


def override(document: Document, settings: Sequence[str]) -> Document:
    """The document with each "key.key=value" of `settings` applied in order; the value is YAML.

    A number in the key is a position in a list ("users.0.ssh_keys"); one past the end appends. Errors in a value that
    was set are placed at the setting. Raises InputError for what is no such setting or leads nowhere.
    """
    data = copy.deepcopy(document.data)
    places = dict(document.set_elsewhere)
    for setting in settings:
        trail, value = _parse(setting)
        places[_put(data, trail, value, setting)] = Location(f"--set {setting}")
    return replace(document, data=data, set_elsewhere=places)


def _parse(setting: str) -> tuple[list[str], Any]:
    key, equals, text = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise InputError(f"--set {setting}: want key=value", hint="for example: --set disk.size=8GiB")
    return key.split("."), read.parse(text.encode(errors="surrogateescape"), f"--set {key}").data if text else ""


def _put(data: Any, steps: Sequence[str], value: Any, setting: str) -> Trail:
    trail: list[Step] = []
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if isinstance(data, list):
            if not step.isdecimal() or int(step) > len(data):
                raise InputError(f"--set {setting}: `{step}` is not a position from 0 to {len(data)}")
            index = int(step)
            if index == len(data):
                data.append({})
            trail.append(index)
            if last:
                data[index] = value
            data = data[index]
        elif isinstance(data, dict):
            trail.append(step)
            data[step] = value if last else data.get(step, {})
            data = data[step]
        else:
            raise InputError(
                f"--set {setting}: there is nothing below `{'.'.join(steps[:number])}`, it is a plain value"
            )
    return tuple(trail)
