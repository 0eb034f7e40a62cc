"""The store's small documents: JSON with a checksum, read without trusting anything about the file."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.store import files

CHECKSUM = "checksum"
MAX_SIZE = 1 << 28  # bytes; a layer may have a million whiteouts


class DamagedError(Exception):
    """A document that is not as it was written; the text says why."""


def write(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a document. Raises OSError."""
    data = {**fields, CHECKSUM: _checksum(fields)}
    files.write_atomic(path, json.dumps(data, sort_keys=True).encode())


def read(path: Path) -> dict[str, Any]:
    """Read a document. Raises FileNotFoundError if there is none, DamagedError for anything but what was written."""
    try:
        fields = json.loads(files.read_small(path, MAX_SIZE))
        if not isinstance(fields, dict):
            raise DamagedError("it is no JSON object")
        if fields.pop(CHECKSUM, None) != _checksum(fields):
            raise DamagedError("its checksum is wrong")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from None
    except (ValueError, RecursionError, MemoryError):  # ValueError: also text that is not UTF-8, and huge numbers
        raise DamagedError("it is no JSON") from None
    return fields


def _checksum(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
