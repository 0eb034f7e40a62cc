"""What holds for every disk, from types.json: schemas/disk-types.schema.json describes it. Sizes are in bytes."""

import json
import os

with open(os.path.join(os.path.dirname(__file__), "types.json"), encoding="utf-8") as _file:
    _DATA = json.load(_file)

# The types of partitions that have names: their GUIDs, and their numbers in a DOS table, for which all others are
# DOS_DEFAULT.
GUIDS: dict[str, str] = {item["name"]: item["guid"] for item in _DATA["partition_types"] if "name" in item}
DOS_TYPES: dict[str, str] = {item["name"]: item["dos"] for item in _DATA["partition_types"] if "dos" in item}
DOS_DEFAULT: str = _DATA["dos_default"]
DOS_PARTITIONS: int = _DATA["dos_partitions"]
DOS_SECTORS: int = _DATA["dos_sectors"]
GPT_ENTRIES: int = _DATA["gpt_entries"]
ALIGNMENT: int = _DATA["alignment"]
LVM_START: int = _DATA["lvm"]["start"]
LVM_EXTENT: int = _DATA["lvm"]["extent"]
LUKS_HEADER: int = _DATA["luks_header"]
# File systems that can be used without a write, and the least sizes of those that have one.
VERITY = tuple(name for name, facts in _DATA["file_systems"].items() if facts.get("verity"))
MINIMUM: dict[str, int] = {name: facts.get("minimum", 0) for name, facts in _DATA["file_systems"].items()}
