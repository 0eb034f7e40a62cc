"""How long each part of the installation took, for the log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Print `name: 1.23 s` to the log when the block is done; nothing when it fails."""
    start = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - start:.2f} s", flush=True)
