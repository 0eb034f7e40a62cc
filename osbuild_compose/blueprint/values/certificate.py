"""PEM certificates: RFC 7468."""

import base64
import binascii
import re

from osbuild_compose.problem import InvalidValueError

MARK = "-----BEGIN CERTIFICATE-----"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END CERTIFICATE-----")
_SEQUENCE = 0x30  # the first byte of every certificate in DER: X.690


def split(text: str, name: str) -> tuple[str, ...]:
    """The certificates of a PEM text, each as a text of its own without the comments around it.

    `name` is what messages call the text. Raises InvalidValueError if it has no certificate, or a broken one.
    """
    if "PRIVATE KEY-----" in text:
        raise InvalidValueError(f"{name} holds a private key, which does not belong in an image")
    bodies = _CERTIFICATE.findall(text)
    if not bodies or len(bodies) != text.count(MARK):
        raise InvalidValueError(f"{name} is not a PEM certificate")
    return tuple(_rewrapped(body, name) for body in bodies)


def _rewrapped(body: str, name: str) -> str:
    letters = "".join(body.split())
    try:
        der = base64.b64decode(letters, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidValueError(f"{name} has a certificate that is not base64: {error}") from None
    if der[:1] != bytes([_SEQUENCE]):
        raise InvalidValueError(f"{name} is not a PEM certificate")
    lines = [letters[start : start + 64] for start in range(0, len(letters), 64)]
    return "\n".join([MARK, *lines, "-----END CERTIFICATE-----", ""])
