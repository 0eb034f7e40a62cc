"""Converting the file systems and partitions of an osbuild blueprint to our `disk`.

What osbuild adds by itself is added here: / on the volume group or btrfs that the blueprint asks for, and /boot on a
partition of its own when / is on one: images' pkg/disk/partition_table.go.
"""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.values import size
from osbuild_compose.importing.places import like
from osbuild_compose.importing.source import Table

_GROUP = "vg00"  # images' own default
_BOOT = {"mount": "/boot", "minimum": "1 GiB"}
_PLAIN = ("/boot", "/boot/efi")  # what stays on partitions when a mode puts file systems elsewhere


def disk(custom: Table) -> dict[str, Any]:
    """Our `disk`; empty if the blueprint does not define one. Raises InputError for what would be another layout."""
    mode = custom.need("partitioning_mode", str)
    if mode not in (None, "", "raw", "auto-lvm", "lvm", "btrfs"):
        raise custom.source.error((*custom.trail, "partitioning_mode"), f"there is no such mode: {mode}")
    partitions = [partition for item in custom.tables("filesystem") if (partition := _file_system(item))]
    if mode == "auto-lvm" and any(item["mount"] not in ("/", *_PLAIN) for item in partitions):
        mode = "lvm"
    if mode in ("lvm", "btrfs"):
        partitions = _in_mode(mode, partitions)
    table = custom.table("disk")
    found: dict[str, Any] = {
        "size": _size(table, "minsize"),
        "table": table.need("type", str) or None,
        "sector_size": table.need("sector_size", int) or None,
    }
    table.refuse("the first partition begins at 1 MiB", "start_offset")
    for item in table.tables("partitions"):
        partitions.append(_partition(item))
    table.rest()
    if partitions:
        found["partitions"] = _with_root(partitions)
    return {key: value for key, value in found.items() if value is not None}


def _in_mode(mode: str, file_systems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The file systems as volumes of a group, or as subvolumes of one btrfs."""
    plain = [item for item in file_systems if item["mount"] in _PLAIN]
    inner = [item for item in file_systems if item["mount"] not in _PLAIN]
    if mode == "lvm":
        volumes: list[dict[str, Any]] = []
        group = {"volume_group": _GROUP, "logical_volumes": volumes}
        for item in inner:
            volumes.append({"name": _volume_name(group, item["mount"], None), **item})
        return [*plain, group]
    minimum = sum(size.to_bytes(item["minimum"]) for item in inner if "minimum" in item)
    subvolumes = [{"name": _subvolume_name(item["mount"]), "mount": item["mount"]} for item in inner]
    btrfs = {"file_system": "btrfs", "subvolumes": subvolumes}
    return [*plain, {**btrfs, "minimum": minimum} if minimum else btrfs]


def _with_root(partitions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The partitions with / and /boot where osbuild would put them."""
    group = next((item for item in partitions if "logical_volumes" in item), None)
    btrfs = next((item for item in partitions if "subvolumes" in item), None)
    if "/" not in _mounts(partitions):
        if group:
            group["logical_volumes"].append({"name": _volume_name(group, "/", None), "mount": "/"})
        elif btrfs:
            btrfs["subvolumes"].append({"name": "root", "mount": "/"})
    inner = [
        item.get("mount")
        for partition in partitions
        for item in (*partition.get("logical_volumes", ()), *partition.get("subvolumes", ()))
    ]
    return [_BOOT, *partitions] if "/" in inner and "/boot" not in _mounts(partitions) else partitions


def _mounts(partitions: list[dict[str, Any]]) -> Iterator[str]:
    for item in partitions:
        if "mount" in item:
            yield item["mount"]
        yield from _mounts([*item.get("logical_volumes", ()), *item.get("subvolumes", ())])


def _file_system(item: Table) -> dict[str, Any] | None:
    """The partition of a file system; None, with a note, if it has no place."""
    mount = _mount(item)
    minimum = next((found for key in ("minsize", "min_size", "size") if (found := _size(item, key)) is not None), None)
    item.rest()
    if not mount:
        item.note("", "it has no `mountpoint`, and is left out")
        return None
    return {"mount": mount, **({"minimum": minimum} if minimum else {})}


def _partition(item: Table) -> dict[str, Any]:
    kind = item.need("type", str) or "plain"
    if kind == "lvm":
        return _volume_group(item)
    if kind not in ("plain", "btrfs"):
        raise item.source.error((*item.trail, "type"), f"there is no such kind of partition: {kind}")
    found: dict[str, Any] = {
        "mount": _mount(item),
        "file_system": "btrfs" if kind == "btrfs" else _fs_type(item),
        "minimum": _size(item, "minsize"),
        "type": item.need("part_type", str),
        "name": item.take("part_label", str),
        "partition_uuid": item.need("part_uuid", str),
        "label": item.take("label", str),
    }
    if found["file_system"] == "swap":
        found.pop("mount")
        found["type"] = found["type"] or "swap"
        found["size"] = found.pop("minimum")
        found.pop("file_system")
    if kind == "btrfs":
        found["subvolumes"] = []
        for volume in item.tables("subvolumes"):
            mount = _mount(volume)
            found["subvolumes"].append(
                {"name": volume.need("name", str) or _subvolume_name(mount or ""), "mount": mount}
            )
            volume.rest()
    item.rest()
    return {key: value for key, value in found.items() if value or key == "subvolumes"}


def _volume_group(item: Table) -> dict[str, Any]:
    group: dict[str, Any] = {
        "volume_group": item.need("name", str) or _GROUP,
        "minimum": _size(item, "minsize"),
        "type": item.need("part_type", str),
        "name": item.take("part_label", str),
        "partition_uuid": item.need("part_uuid", str),
    }
    group = {key: value for key, value in group.items() if value}
    group["logical_volumes"] = []
    for volume in item.tables("logical_volumes"):
        mount, kind = _mount(volume), _fs_type(volume)
        made = {
            "name": volume.need("name", str) or _volume_name(group, mount, kind),
            "mount": None if kind == "swap" else mount,
            "file_system": kind,
            "size" if kind == "swap" else "minimum": _size(volume, "minsize"),
            "label": volume.take("label", str),
        }
        group["logical_volumes"].append({key: value for key, value in made.items() if value})
        volume.rest()
    item.rest()
    return group


def _volume_name(group: dict[str, Any], mount: str | None, kind: str | None) -> str:
    """The name for a volume without one, as images has it: rootlv, homelv, swaplv; with a number if it is taken."""
    taken = {volume["name"] for volume in group["logical_volumes"]}
    words = [word for word in (mount or kind or f"volume{len(taken) + 1}").split("/") if word]
    name = f"{'_'.join(words) or 'root'}lv"
    return next(one for one in (name, *(f"{name}{number:02}" for number in range(100))) if one not in taken)


def _subvolume_name(mount: str) -> str:
    return mount.strip("/").replace("/", "-") or "root"


def _mount(table: Table) -> str | None:
    path: str | None = table.need("mountpoint", str)
    return like(path, path.rstrip("/") or "/") if path else None


def _fs_type(table: Table) -> str | None:
    kind: str | None = table.need("fs_type", str)
    return kind


def _size(table: Table, key: str) -> Any:
    """The size: a number is bytes, and so are digits alone in a text."""
    value = table.need(key, int, str)
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    return value or None
