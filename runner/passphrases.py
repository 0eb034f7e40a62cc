"""Passphrases of encrypted disks: the manifest only has their names.

The document of --secrets has them under PASSPHRASES, by the names that the options of stages and assemblers use. A
module gets those that its options name, in its arguments. Cache keys contain them stretched by scrypt (RFC 7914): keys
are readable in stores, and must not make guessing a passphrase faster than it is with the encrypted disk itself.
"""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

PASSPHRASES = "org.osbuild-compose.passphrases"
COST = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26}  # 32 MiB and about a tenth of a second


def passphrases(secrets: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """The passphrases in a document of --secrets, by name."""
    return secrets.get(PASSPHRASES, {})


def named_in(value: Any, known: Mapping[str, str]) -> set[str]:
    """The names of known passphrases that occur anywhere in a step's options."""
    if isinstance(value, str):
        return {value} & known.keys()
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return {name for item in items for name in named_in(item, known)}


@functools.cache
def stretched(name: str, passphrase: str) -> str:
    """The form of a passphrase that enters cache keys, in hexadecimal."""
    return hashlib.scrypt(passphrase.encode(), salt=f"cache key {name}".encode(), dklen=32, **COST).hex()
