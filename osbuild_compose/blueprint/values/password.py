"""Passwords as they are in /etc/shadow."""

import hashlib
import re

_HASH = re.compile(r"\$[0-9a-z-]+\$[!-9;-~]+|[!*]")  # crypt(5), without the colon that ends the field
# How many characters the digest has at the end of each kind of hash: crypt(5).
_DIGESTS = {"1": 22, "2a": 53, "2b": 53, "2x": 53, "2y": 53, "5": 43, "6": 86, "7": 43, "gy": 43, "y": 43}
_SALT_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # crypt(5)
_SALT_LENGTH = 16


def problem(password: str) -> str:
    """What is wrong with a blueprint's `password`, "" if nothing. The text does not give the password away."""
    if _HASH.fullmatch(password):
        return ""
    if password.startswith("$"):
        return "begins as a hash does and is none"
    if not password.isprintable():
        return "has characters that cannot be typed"
    return ""


def doubt(password: str) -> str:
    """Why no password can have this hash, "" where one can."""
    kind, _, rest = password.removeprefix("$").partition("$")
    digest = rest.rpartition("$")[2]
    wanted = _DIGESTS.get(kind, len(digest))
    if not _HASH.fullmatch(password) or len(digest) == wanted:
        return ""
    return f"is a hash that is not whole: its end has {len(digest)} characters, not {wanted}"


def hashed(password: str, blueprint: str, user: str) -> str:
    """The hash, which the password may be already: sha512-crypt, which every distribution here knows.

    The salt follows from the names of the blueprint and the user, and not from the password, about which it would tell
    something: so the same blueprint gives the same image.
    """
    if _HASH.fullmatch(password):
        return password
    from passlib.hash import sha512_crypt  # noqa: PLC0415 - few blueprints need it

    digest = hashlib.sha256(f"{blueprint}\n{user}".encode()).digest()
    salt = "".join(_SALT_LETTERS[byte % len(_SALT_LETTERS)] for byte in digest[:_SALT_LENGTH])
    return str(sha512_crypt.using(salt=salt, rounds=5000).hash(password))
