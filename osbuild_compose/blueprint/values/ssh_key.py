"""Public keys as they are in a file authorized_keys."""

import base64
import binascii
import re
from itertools import pairwise

_KIND = re.compile(r"(sk-)?(ssh-(ed25519|rsa|dss)|ecdsa-sha2-)[A-Za-z0-9@.-]*")
_LENGTH = 4  # bytes of the number before each part of a key: RFC 4251


def problem(line: str) -> str:
    """What is wrong with a key's line, "" if nothing. The SSH server passes over a wrong one without a word."""
    words = line.split()
    for kind, key in pairwise(words):
        if _KIND.fullmatch(kind):
            return _problem(kind, key)
    return ""


def _problem(kind: str, key: str) -> str:
    try:
        data = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return "has a key that is not whole: it is no base64"
    parts = list(_parts(data))
    if not parts or b"".join(_with_length(part) for part in parts) != data:
        return "has a key that is not whole"
    named = parts[0].decode("ascii", errors="replace")
    if named != kind:
        return f"has a key that is not of the kind {kind}"
    return "" if len(parts) > 1 else "has a key that is not whole"


def _parts(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    while len(data) >= _LENGTH:
        length = int.from_bytes(data[:_LENGTH], "big")
        found.append(data[_LENGTH : _LENGTH + length])
        data = data[_LENGTH + length :]
    return found


def _with_length(part: bytes) -> bytes:
    return len(part).to_bytes(_LENGTH, "big") + part
