"""Passphrases that a manifest names and does not have: for disks that are encrypted.

The document of --secrets has them under PASSPHRASES, by the names that options of stages and assemblers say. A program
gets those that it names, in its arguments. In cache keys they appear stretched by scrypt (RFC 7914): keys lie about in
stores, and whoever reads one should not find the passphrase by guessing faster than at the encrypted disk itself.
"""

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

PASSPHRASES = "org.osbuild-compose.passphrases"
COST = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26}  # 32 MiB and about a tenth of a second


def passphrases(secrets: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """The passphrases of a document of --secrets, by their names."""
    return secrets.get(PASSPHRASES, {})


def named_in(value: Any, known: Mapping[str, str]) -> set[str]:
    """The names of known passphrases that are anywhere in a step's options."""
    if isinstance(value, str):
        return {value} & known.keys()
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return {name for item in items for name in named_in(item, known)}


@functools.cache
def stretched(name: str, passphrase: str) -> str:
    """What stands for a passphrase in cache keys, in hexadecimal."""
    return hashlib.scrypt(passphrase.encode(), salt=f"cache key {name}".encode(), dklen=32, **COST).hex()
