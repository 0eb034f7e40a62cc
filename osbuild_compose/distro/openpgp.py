"""Fingerprints of OpenPGP public keys: RFC 9580."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

from osbuild_compose.distro.repository import ARMOUR

_BLOCK = re.compile(re.escape(ARMOUR) + r"\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
_PUBLIC_KEY = 6  # the packet's type


def fingerprints(text: str) -> list[str]:
    """The fingerprints, in upper-case hexadecimal digits, of all primary keys in armoured text.

    Raises ValueError for what is no such text.
    """
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise ValueError("it is not an armoured public key")
    return [_fingerprint(body) for block in blocks for kind, body in _packets(_binary(block)) if kind == _PUBLIC_KEY]


def _binary(block: str) -> bytes:
    """What is between the headers and the checksum: section 6.2."""
    body = re.split(r"\r?\n\s*\r?\n", "\n" + block, maxsplit=1)[-1]
    lines = [line.strip() for line in body.splitlines()]
    try:
        return base64.b64decode("".join(line for line in lines if not line.startswith("=")), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("its armour is damaged") from None


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each packet: section 4.2."""
    position = 0
    while position < len(data):
        first = data[position]
        if not first & 0x80:
            raise ValueError("it is not made of packets")
        if first & 0x40:
            kind, (start, length) = first & 0x3F, _length(data, position + 1)
        else:
            octets = (1, 2, 4)[first & 3] if first & 3 < 3 else 0
            kind, start = first >> 2 & 0x0F, position + 1 + octets
            length = int.from_bytes(data[position + 1 : start], "big") if octets else len(data) - start
        if start + length > len(data):
            raise ValueError("a packet is cut off")
        yield kind, data[start : start + length]
        position = start + length


def _length(data: bytes, position: int) -> tuple[int, int]:
    """Where the content begins, and its length, in the newer form of packets."""
    one = data[position : position + 1]
    if not one:
        raise ValueError("a packet is cut off")
    if one[0] < 192:
        return position + 1, one[0]
    if one[0] < 224:
        return position + 2, ((one[0] - 192) << 8) + int.from_bytes(data[position + 1 : position + 2], "big") + 192
    if one[0] == 255:
        return position + 5, int.from_bytes(data[position + 1 : position + 5], "big")
    raise ValueError("a key packet has no length")


def _fingerprint(body: bytes) -> str:
    """Section 5.5.4; versions 4 and 6, as others are not to be trusted any more or not made yet."""
    version = body[:1]
    if version == b"\x04":
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324
    if version == b"\x06":
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError("the version of its key is not known")
