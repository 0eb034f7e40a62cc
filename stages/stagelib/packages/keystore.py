"""Java's keystore of certificate authorities, without the times at which they were added.

The format JKS: four bytes that mark it, version and number of entries, then of each entry its kind, name, time in
milliseconds and certificate. A digest over that and the password ends the file. All numbers are big endian.
"""

import hashlib
import struct

PATH = "/etc/ssl/certs/java/cacerts"
PASSWORD = "changeit"  # noqa: S105  # every Java has it for this file, which has nothing secret in it
MARK = b"\xfe\xed\xfe\xed\x00\x00\x00\x02"
SALT = b"Mighty Aphrodite"
DIGEST = 20  # bytes
CERTIFICATE = 2


def with_times(data: bytes, when: int) -> bytes:
    """The keystore with `when`, in seconds since 1970, as the time of every entry.

    What is not a JKS of certificates with the usual password is returned as it is.
    """
    body, digest = bytearray(data[:-DIGEST]), data[-DIGEST:]
    if not data.startswith(MARK) or _digest(body) != digest:
        return data
    try:
        position = len(MARK) + 4
        for _ in range(_number(body, len(MARK))):
            if _number(body, position) != CERTIFICATE:
                return data
            position = _after_text(body, position + 4)
            struct.pack_into(">Q", body, position, when * 1000)
            position = _after_text(body, position + 8)
            position += 4 + _number(body, position)
    except struct.error:
        return data
    return bytes(body) + _digest(body)


def _digest(body: bytes | bytearray) -> bytes:
    return hashlib.sha1(PASSWORD.encode("utf-16-be") + SALT + body, usedforsecurity=False).digest()


def _number(body: bytearray, position: int) -> int:
    number: int = struct.unpack_from(">I", body, position)[0]
    return number


def _after_text(body: bytearray, position: int) -> int:
    return position + 2 + int(struct.unpack_from(">H", body, position)[0])
