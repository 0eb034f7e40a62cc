"""Partitions as the assembler org.osbuild-compose.image takes them."""

from typing import Any

from osbuild_compose.disk import luks, uuids, verity
from osbuild_compose.disk.model import LogicalVolume, Partition


def of(partitions: tuple[Partition, ...], name: str) -> list[dict[str, Any]]:
    """All partitions of the blueprint `name`, with those of hashes, which it does not name."""
    made: list[dict[str, Any]] = []
    for item in partitions:
        made.append(_options(item, len(made), name))
        if item.verity:
            if item.mount in verity.ON_COMMAND_LINE:
                del made[-1]["uuid"]  # follows from the root hash
            made.append(verity.hashes(item, len(made), name))
    return made


def _options(item: Partition, number: int, name: str) -> dict[str, Any]:
    """The partition as org.osbuild-compose.image takes it."""
    made: dict[str, Any] = {
        "type": item.type,
        "name": item.name,
        "uuid": item.partition_uuid or uuids.uuid_for(name, f"partition {item.name} {number + 1}"),
    }
    for key, value in (("start", item.start), ("size", item.size), ("minimum", item.minimum)):
        if value is not None:
            made[key] = value
    made |= {key: True for key, value in (("grow", item.grow), ("bootable", item.bootable)) if value}
    if item.file_system:
        made["filesystem"] = _file_system(item)
    if item.luks:
        made["luks"] = luks.options(item, name)
    if item.volume_group:
        made["lvm"] = {
            "name": item.volume_group,
            "uuid": uuids.uuid_for(name, f"volume group {item.volume_group}"),
            "pv_uuid": uuids.uuid_for(name, f"physical volume of {item.volume_group}"),
            "volumes": [_logical_volume(volume, name) for volume in item.logical_volumes],
        }
    return made


def _file_system(item: Partition) -> dict[str, Any]:
    fs: dict[str, Any] = {"type": item.file_system, "uuid": item.uuid}
    for key, text in (("label", item.label), ("mountpoint", item.mount), ("compression", item.compression)):
        if text is not None:
            fs[key] = text
    if item.subvolumes:
        fs["subvolumes"] = [{"name": volume.name, "mountpoint": volume.mount} for volume in item.subvolumes]
    return fs


def _logical_volume(item: LogicalVolume, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": item.name,
        "uuid": uuids.uuid_for(name, f"logical volume {item.group}/{item.name}"),
    }
    made |= {key: value for key, value in (("size", item.size), ("minimum", item.minimum)) if value is not None}
    if item.grow:
        made["grow"] = True
    if item.file_system:
        made["filesystem"] = _file_system(item)
    return made
