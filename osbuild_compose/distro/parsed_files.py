"""Caches parsed YAML files in the user's cache directory: parsing a distro.yaml takes 15 ms."""

import contextlib
import hashlib
import json
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from osbuild_compose import user_cache
from osbuild_compose.document import input_file, reader


def read(path: Path) -> Any:
    """The data of the YAML file. Raises InputError as reader.read does."""
    try:
        raw = input_file.read(path, reader.MAX_BYTES + 1)
    except (OSError, ValueError):
        return reader.read(path, regular=True).data  # which says why it cannot be read
    directory = user_cache.directory(f"osbuild-compose-parsed/{_parser()}")
    if directory is None:
        return reader.parse(raw, str(path)).data
    kept = directory / f"{hashlib.sha256(raw).hexdigest()}.json"
    with contextlib.suppress(OSError, ValueError, RecursionError):
        data = json.loads(kept.read_bytes())
        if isinstance(data, dict):
            return data
    data = reader.parse(raw, str(path)).data
    _keep(data, kept)
    return data


def _keep(data: Any, place: Path) -> None:
    """Write the file in one step, unless JSON changes the data. Where that is not possible it is parsed again."""
    with contextlib.suppress(OSError, TypeError, ValueError, RecursionError):
        text = json.dumps(data, allow_nan=False)
        if json.loads(text) != data:
            return
        with tempfile.NamedTemporaryFile("w", dir=place.parent, delete=False, encoding="utf-8") as new:
            new.write(text)
        os.replace(new.name, place)


@cache
def _parser() -> str:
    """A digest of the code that parses."""
    digest = hashlib.sha256()
    for path in sorted(Path(reader.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
