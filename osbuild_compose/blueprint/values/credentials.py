"""Checks credentials: passwords as in /etc/shadow, and SSH keys as in authorized_keys."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise

from osbuild_compose.problem import Problem, Severity

_HASH = re.compile(r"\$[0-9a-z-]+\$[!-9;-~]+")  # crypt(5), without the colon that ends the field
# What no password has as its hash: shadow(5). Distributions write `!`, `!!`, `!*` and `*`, other systems *LK* and the
# like; `passwd --lock` and `usermod --lock` put `!!` or `!` before the hash.
_LOCKED = re.compile(rf"[!*]+|[!*]+[A-Z]+[!*]+|!{{1,2}}(?:{_HASH.pattern})")
_OTHER_SCHEME = re.compile(r"\{[A-Za-z0-9.-]+\}.+")  # {SSHA}...: RFC 2307
# How many characters the digest has at the end of each kind of hash: crypt(5).
_DIGESTS = {"1": 22, "2a": 53, "2b": 53, "2x": 53, "2y": 53, "5": 43, "6": 86, "7": 43, "gy": 43, "y": 43}
_SALT_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # crypt(5)
_SALT_LENGTH = 16
_MAKE_HASH = "make a hash with: openssl passwd -6"
_LOCK = "`!` alone locks the password; of one that begins with ! or *, make a hash with: openssl passwd -6"

_KEY_TYPE = re.compile(r"(sk-)?(ssh-(ed25519|rsa|dss)|ecdsa-sha2-)[A-Za-z0-9@.-]*")
_LENGTH = 4  # bytes of the number before each part of a key: RFC 4251


def password_problems(password: str) -> Iterator[Problem]:
    """What is wrong with a user's `password`. Messages do not reveal it.

    A truncated hash is only a warning: examples contain such hashes, and must build.
    """
    if is_locked(password):
        return
    if _HASH.fullmatch(password):
        kind, _, rest = password.removeprefix("$").partition("$")
        digest = rest.rpartition("$")[2]
        expected = _DIGESTS.get(kind, len(digest))
        if len(digest) != expected:
            brief = f"`password` is an incomplete hash: it ends in {len(digest)} characters instead of {expected}"
            yield Problem((), f"{brief}, so nobody can log in with it", _MAKE_HASH, Severity.WARNING)
    elif password.startswith(("!", "*")):
        yield Problem((), "`password` begins like one that is locked, but is not in a form of /etc/shadow", _LOCK)
    elif password.startswith("$") or _OTHER_SCHEME.fullmatch(password):
        yield Problem((), "`password` looks like a hash but is not a valid one", _MAKE_HASH)
    elif not password.isprintable():
        yield Problem((), "`password` has characters that cannot be typed", _MAKE_HASH)


def is_locked(password: str) -> bool:
    """Whether this, as the second field of a line in /etc/shadow, allows no login by password."""
    return _LOCKED.fullmatch(password) is not None


def hashed(password: str, blueprint: str, user: str) -> str:
    """The password's hash, by sha512-crypt, which all our distributions support.

    A hash is returned unchanged, and so is the mark of a locked password.

    The salt follows from the names of the blueprint and the user, so that the same blueprint gives the same image. It
    does not depend on the password, about which it would reveal something.
    """
    if _HASH.fullmatch(password) or is_locked(password):
        return password
    from passlib.hash import sha512_crypt  # noqa: PLC0415 - few blueprints need it

    digest = hashlib.sha256(f"{blueprint}\n{user}".encode()).digest()
    salt = "".join(_SALT_LETTERS[byte % len(_SALT_LETTERS)] for byte in digest[:_SALT_LENGTH])
    return str(sha512_crypt.using(salt=salt, rounds=5000).hash(password))


def ssh_key_problems(line: str) -> Iterator[Problem]:
    """A warning for a line of `ssh_keys` that the SSH server would silently ignore. Examples have such keys, too."""
    words = line.split()
    for key_type, key in pairwise(words):
        if _KEY_TYPE.fullmatch(key_type):
            if fault := _key_fault(key_type, key):
                hint = "write the whole line of a file such as ~/.ssh/id_ed25519.pub"
                yield Problem((), f"the SSH key {fault}, so nobody can log in with it", hint, Severity.WARNING)
            return


def _key_fault(key_type: str, key: str) -> str:
    try:
        data = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return "is incomplete: it is not base64"
    parts = list(_parts(data))
    if not parts or b"".join(_with_length(part) for part in parts) != data:
        return "is incomplete"
    if parts[0].decode("ascii", errors="replace") != key_type:
        return f"is not of the type {key_type}"
    return "" if len(parts) > 1 else "is incomplete"


def _parts(data: bytes) -> Iterator[bytes]:
    while len(data) >= _LENGTH:
        length = int.from_bytes(data[:_LENGTH], "big")
        yield data[_LENGTH : _LENGTH + length]
        data = data[_LENGTH + length :]


def _with_length(part: bytes) -> bytes:
    return len(part).to_bytes(_LENGTH, "big") + part
