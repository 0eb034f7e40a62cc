"""Passwords as they are in /etc/shadow."""

import hashlib
import re

_HASH = re.compile(r"\$[0-9a-z-]+\$[!-9;-~]+|[!*]")  # crypt(5), without the colon that ends the field
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
