"""The formats of images: which options they have, and which disks they can be of."""

from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint import formats
from osbuild_compose.blueprint.values import size
from osbuild_compose.blueprint.values.size import GIB, MIB
from osbuild_compose.disk.checks import file_systems, items, labels
from osbuild_compose.problem import Problem, within

BLOCK = 4096  # of which a file system has a whole number


def problems(wanted: Any, disk: Mapping[str, Any]) -> Iterator[Problem]:
    """All that is wrong with `formats`, and with a disk that is to be of them."""
    items = wanted if isinstance(wanted, list) else []
    names = [item.get("format") if isinstance(item, dict) else item for item in items]
    for index, (item, name) in enumerate(zip(items, names, strict=True)):
        if not isinstance(name, str):
            continue
        if name in names[:index] and item not in items[:index]:  # the schema reports equal items
            hint = "there is one file for each format"
            yield Problem(("formats", index), f"`formats` has {name} twice", hint)
        if isinstance(item, dict):
            yield from within(("formats", index), _options(name, item))
        yield from within(("disk",), _disk(name, disk))
    yield from within(("disk",), _no_disk(names, disk))


def _disk(name: str, disk: Mapping[str, Any]) -> Iterator[Problem]:
    """What an image of this format cannot be a disk of."""
    if name in formats.SECTORS_OF_512 and disk.get("sector_size") == 4096:
        what = f"machines see a {name} as a disk of 512-byte sectors, and would not find this one's partitions"
        yield Problem(("sector_size",), what, "leave it out, or make raw or qcow2")
    if name == "iso" and disk.get("bootloader") in ("systemd-boot", "none"):
        what = f"a disc is started by GRUB, and with `bootloader: {disk['bootloader']}` UEFI finds none on it"
        yield Problem(("bootloader",), what, "leave it out, or make the iso in a build of its own")
    found = size.readable(disk["size"]) if items.is_amount(disk.get("size")) else None
    if found is None:
        return
    most = formats.MOST.get(name)
    if most and found > most:
        what = f"{name} takes disks of {most // GIB} GiB at most, and {found} bytes is more"
        yield Problem(("size",), what, f"write {most // GIB} GiB or less, or leave {name} out")
    multiple = formats.MULTIPLES.get(name)
    if multiple and found % multiple:
        what = f"{name} takes disks of whole {'GiB' if multiple > MIB else 'MiB'}, and {found} bytes is none"
        yield Problem(("size",), what, f"write {-(-found // multiple) * multiple // MIB} MiB, or leave `size` out")


def _no_disk(names: list[Any], disk: Mapping[str, Any]) -> Iterator[Problem]:
    """Keys that say how a disk is, where no image is one."""
    known = [formats.Format(name) for name in names if name in list(formats.Format)]
    if not known or len(known) != len(names) or any(item.is_disk for item in known):
        return
    for key in ("size", "free", "sector_size"):
        if key in disk:
            yield Problem(
                (key,), f"`{key}`: none of `formats` is a disk", "add one that is, such as qcow2, or remove it"
            )


def _options(name: str, item: Mapping[str, Any]) -> Iterator[Problem]:
    """What this format has not, and values that it does not know."""
    known = formats.OPTIONS.get(name, {})
    for key, value in item.items():
        if key == "format":
            continue
        if key not in known:
            having = ", ".join(str(other) for other, keys in formats.OPTIONS.items() if key in keys)
            if having:
                yield Problem(
                    (key,), f"{name} has no `{key}`", f"only {having} {'have' if ',' in having else 'has'} it"
                )
        elif known[key] and isinstance(value, str) and value not in known[key]:
            yield Problem((key,), f"{name} cannot have `{key}` {value}; it has: {', '.join(known[key])}")
        elif key == "label":
            yield from labels.problems(name, value)
        elif key == "free" and "size" in item:
            yield Problem((key,), "a file system with a `size` cannot have `free`, too", "leave one of them out")
        elif key in ("size", "free", "memory") and items.is_amount(value):
            yield from _amount(key, value)
            if key == "size":
                yield from file_systems.too_small(name, value)


def _amount(key: str, value: int | str) -> Iterator[Problem]:
    try:
        found = size.to_bytes(value)
    except ValueError as error:
        yield Problem((key,), f"`{key}`: {error}")
        return
    unit = MIB if key == "memory" else BLOCK
    if found % unit:
        what = f"`{key}`: {found} bytes is not a multiple of {unit}"
        yield Problem((key,), what, f"the next one is {-(-found // unit) * unit}")
