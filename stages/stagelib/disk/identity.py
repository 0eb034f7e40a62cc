"""Parse the identifier of a DOS partition table."""

import re

from stagelib.errors import StageError

_ID = re.compile(r"(?:0x)?([0-9a-fA-F]{8})(?:-[0-9a-fA-F]{4}){0,3}(?:-[0-9a-fA-F]{12})?")


def disk_id(ptuuid: str) -> int:
    """The 32-bit identifier of a DOS partition table from "0x14fc63d2", "14fc63d2" or a UUID's first 8 digits."""
    match = _ID.fullmatch(ptuuid)
    if match is None:
        raise StageError(f"ptuuid '{ptuuid}' is not a disk identifier", 'write it like "0x14fc63d2", or a UUID')
    return int(match[1], 16)
