"""Java's keystore: the times of its entries are set, and what is no such keystore is not touched."""

import hashlib
import struct

import pytest
from stagelib.packages import keystore

WHEN = 1_700_000_000


def text(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode()


def store(*times: int, password: str = "changeit", kind: int = 2) -> bytes:
    """A JKS with an entry for each time, in milliseconds."""
    body = struct.pack(">III", 0xFEEDFEED, 2, len(times))
    for number, time in enumerate(times):
        body += struct.pack(">I", kind) + text(f"debian:{number}.pem") + struct.pack(">Q", time)
        body += text("X.509") + struct.pack(">I", 3) + b"cer"
    return body + hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()


@pytest.mark.parametrize("times", [(), (1,), (1, 1 << 40, 3)])
def test_every_entry_gets_the_time(times: tuple[int, ...]) -> None:
    assert keystore.with_times(store(*times), WHEN) == store(*[WHEN * 1000 for _ in times])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xfe\xed\xfe\xed",
        b"0\x82 PKCS #12",
        store(1, password="another"),
        store(1, kind=1),
        store(1)[:-1],
        store(1)[:30] + store(1)[31:],
    ],
)
def test_anything_else_is_as_it_was(data: bytes) -> None:
    assert keystore.with_times(data, WHEN) == data


def test_a_keystore_that_lies_about_its_lengths_is_as_it_was() -> None:
    body = bytearray(store(1)[:-20])
    body[8:12] = struct.pack(">I", 1 << 30)
    data = bytes(body) + hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()
    assert keystore.with_times(data, WHEN) == data
