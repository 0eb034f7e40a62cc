"""What a partition is and has in it, as a blueprint says it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from osbuild_compose.disk import partition_types
from osbuild_compose.document.reader import Trail

Item = Mapping[str, Any]


def mappings(value: Any) -> list[Item] | None:
    """The items of a list, None unless it is one of mappings: of others the schema says what is wrong."""
    return value if isinstance(value, list) and all(isinstance(item, dict) for item in value) else None


def volumes(item: Item) -> list[Item]:
    """The logical volumes of a partition."""
    return mappings(item.get("logical_volumes")) or []


def holding_files(partitions: Sequence[Item]) -> Iterator[tuple[Trail, Item]]:
    """All that can have a file system, by their trails below the disk: partitions and logical volumes."""
    for index, item in enumerate(partitions):
        yield ("partitions", index), item
        for number, volume in enumerate(volumes(item)):
            yield ("partitions", index, "logical_volumes", number), volume


def points(item: Item) -> list[str]:
    """Where it is mounted, and its subvolumes and logical volumes are."""
    inner = [*(mappings(item.get("subvolumes")) or []), *volumes(item)]
    return [point for one in (item, *inner) if isinstance(point := one.get("mount"), str)]


def type_of(item: Item) -> str | None:
    """The partition's type by its name, None where `mount` decides."""
    kind = item.get("type")
    return partition_types.named(kind) if isinstance(kind, str) else None


def is_esp(item: Item) -> bool:
    """Whether it is an EFI system partition."""
    kind = type_of(item)
    return kind == "esp" or (kind is None and item.get("mount") in partition_types.ESP_MOUNTS)


def file_system(item: Item) -> str:
    """The kind of file system on what is mounted, or of a swap space."""
    if type_of(item) == "swap" and "file_system" not in item:
        return "swap"
    return str(item.get("file_system") or ("btrfs" if item.get("subvolumes") else "ext4"))


def is_amount(value: Any) -> TypeGuard[int | str]:
    """Whether it has the form of a size."""
    return isinstance(value, int | str) and not isinstance(value, bool)
