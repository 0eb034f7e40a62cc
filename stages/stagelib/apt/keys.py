"""OpenPGP keys from ASCII armour to the binary keyring that apt's verifiers all read."""

import base64
import binascii
import re
from collections.abc import Iterable

from stagelib.stage import StageError

BLOCK = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


def keyring(armoured: Iterable[str]) -> bytes:
    """One binary keyring of all keys in the armoured texts; a text may hold several blocks.

    Raises StageError when a text holds no key or a damaged one: apt would say no more than NO_PUBKEY.
    """
    ring = b""
    for number, text in enumerate(armoured, start=1):
        blocks = BLOCK.findall(text.replace("\r\n", "\n"))
        if not blocks:
            raise StageError(
                f"key {number} of the repository is not an ASCII-armoured OpenPGP public key",
                "give the text that starts with -----BEGIN PGP PUBLIC KEY BLOCK-----",
            )
        for block in blocks:
            ring += _dearmour(block, number)
    return ring


def _dearmour(block: str, number: int) -> bytes:
    """The packets of one armour block (RFC 9580 section 6): headers, empty line, base64, optional =checksum."""
    lines = [line.strip() for line in block.split("\n")]
    body = lines[lines.index("") + 1 :] if "" in lines[:-1] else lines
    data = "".join(line for line in body if not line.startswith("="))
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise StageError(f"key {number} of the repository is damaged: {error}", "copy the key's text again") from None
