"""Converting the file systems and partitions of an osbuild blueprint to our `disk`."""

from typing import Any

from osbuild_compose.importing.source import Table


def disk(custom: Table) -> dict[str, Any]:
    """Our `disk`; empty if the blueprint does not define one."""
    mode = custom.take("partitioning_mode", str)
    if mode not in (None, "", "raw"):
        custom.note("partitioning_mode", "only the listed partitions are created, and none is put on LVM automatically")
    partitions = [_file_system(item) for item in custom.tables("filesystem")]
    table = custom.table("disk")
    found: dict[str, Any] = {
        "size": _size(table),
        "table": table.take("type", str) or None,
        "sector_size": table.take("sector_size", int) or None,
    }
    table.refuse("the first partition begins at 1 MiB", "start_offset")
    for item in table.tables("partitions"):
        partitions += _partition(item)
    table.rest()
    partitions = [partition for partition in partitions if partition]
    if partitions:
        found["partitions"] = partitions
    return {key: value for key, value in found.items() if value is not None}


def _file_system(item: Table) -> dict[str, Any]:
    minimum = item.take("minsize", int, str)
    size = item.take("size", int, str)
    found = {"mount": item.take("mountpoint", str), "minimum": minimum if minimum is not None else size}
    item.rest()
    return {key: value for key, value in found.items() if value}


def _partition(item: Table) -> list[dict[str, Any]]:
    kind = item.take("type", str) or "plain"
    if kind == "lvm":
        return [_volume_group(item)]
    if kind not in ("plain", "btrfs"):
        item.refuse(f"{kind} is not supported: turn its volumes into partitions, or subvolumes of btrfs", *item.data)
        return []
    found: dict[str, Any] = {
        "mount": item.take("mountpoint", str),
        "file_system": "btrfs" if kind == "btrfs" else item.take("fs_type", str),
        "minimum": _size(item),
        "type": item.take("part_type", str),
        "name": item.take("part_label", str),
        "partition_uuid": item.take("part_uuid", str),
        "label": item.take("label", str),
    }
    if found["file_system"] == "swap":
        found.pop("mount")
        found["type"] = found["type"] or "swap"
        found["size"] = found.pop("minimum")
    volumes = []
    for volume in item.tables("subvolumes"):
        volumes.append({"name": volume.take("name", str), "mount": volume.take("mountpoint", str)})
        volume.rest()
    if volumes:
        found["subvolumes"] = volumes
    item.rest()
    return [{key: value for key, value in found.items() if value}]


def _volume_group(item: Table) -> dict[str, Any]:
    group: dict[str, Any] = {
        "volume_group": item.take("name", str) or "vg00",  # images' own default
        "minimum": _size(item),
        "type": item.take("part_type", str),
        "name": item.take("part_label", str),
        "partition_uuid": item.take("part_uuid", str),
    }
    volumes = []
    for number, volume in enumerate(item.tables("logical_volumes")):
        mount, kind = volume.take("mountpoint", str), volume.take("fs_type", str)
        made = {
            "name": volume.take("name", str) or _volume_name(mount, kind, number),
            "mount": None if kind == "swap" else mount,
            "file_system": kind,
            "size" if kind == "swap" else "minimum": _size(volume),
            "label": volume.take("label", str),
        }
        volumes.append({key: value for key, value in made.items() if value})
        volume.rest()
    item.rest()
    return {**{key: value for key, value in group.items() if value}, "logical_volumes": volumes}


def _volume_name(mount: str | None, kind: str | None, number: int) -> str:
    """The name for a volume without one, as images has it: rootlv, homelv, swaplv."""
    words = [word for word in (mount or kind or f"volume{number + 1}").split("/") if word]
    return f"{'_'.join(words) or 'root'}lv"


def _size(table: Table) -> Any:
    return table.take("minsize", int, str) or None
