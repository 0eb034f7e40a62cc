"""UUIDs derived from the blueprint's name, so that the same blueprint gives the same image."""

import uuid

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:osbuild-compose:blueprint")


def uuid_for(blueprint: str, role: str) -> str:
    """The UUID for a role in the image, such as "root file system", derived from the blueprint's name."""
    return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, blueprint), role))


def table_uuid_for(blueprint: str) -> str:
    """The identifier of the partition table; its first eight digits, which a DOS table takes, are never 0."""
    text = uuid_for(blueprint, "partition table")
    return text if int(text[:8], 16) else "1" + text[1:]


def volume_id_for(blueprint: str, role: str) -> str:
    """The number of a FAT volume, "1234-ABCD"."""
    digits = uuid_for(blueprint, f"{role} volume").replace("-", "")[:8].upper()
    return f"{digits[:4]}-{digits[4:]}"
