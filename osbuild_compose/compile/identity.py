"""UUIDs that follow from the blueprint's name: never chance, so that the same blueprint gives the same image."""

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:osbuild-compose:blueprint")


def uuid_for(blueprint: str, role: str) -> str:
    """The UUID of the thing that plays `role` ("root file system") in the image of the blueprint of that name."""
    return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, blueprint), role))


def disk_id_for(blueprint: str) -> str:
    """The identifier of the DOS partition table: 0x and eight hexadecimal digits, never 0."""
    digits = uuid_for(blueprint, "partition table").replace("-", "")
    return "0x" + (digits[:8] if int(digits[:8], 16) else digits[8:16])
