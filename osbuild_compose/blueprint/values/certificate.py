"""Certificates in PEM, RFC 7468."""

import base64
import binascii
import re

MARK = "-----BEGIN CERTIFICATE-----"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")
_SEQUENCE = 0x30  # how every certificate begins in DER, X.690


def split(text: str) -> tuple[str, ...]:
    """The certificates of a PEM text, each as a text of its own without the remarks around it.

    Raises ValueError whose text says why it has none, or one that is broken.
    """
    if "PRIVATE KEY-----" in text:
        raise ValueError("holds a private key, which does not belong into an image")
    bodies = _CERTIFICATE.findall(text)
    if not bodies or len(bodies) != text.count(MARK):
        raise ValueError("is not a certificate in PEM")
    return tuple(_written(body) for body in bodies)


def _written(body: str) -> str:
    letters = "".join(body.split())
    try:
        der = base64.b64decode(letters, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"has a certificate that is no base64: {error}") from None
    if der[:1] != bytes([_SEQUENCE]):
        raise ValueError("is not a certificate in PEM")
    lines = [letters[start : start + 64] for start in range(0, len(letters), 64)]
    return "\n".join([MARK, *lines, "-----END CERTIFICATE-----", ""])
