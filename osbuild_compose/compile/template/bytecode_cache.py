"""Caches compiled templates in the user's cache directory: compiling takes longer than rendering."""

import contextlib
import hashlib
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache

from osbuild_compose import user_cache


class CompiledTemplates(FileSystemBytecodeCache):
    """Byte code of templates, by their name, path and content. Files that cannot be read or written are ignored."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket from the cache, if its template is there."""
        with contextlib.suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the bucket in the cache."""
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def cache() -> CompiledTemplates | None:
    """The user's cache for this Jinja and this program; None if it cannot be created or others may write to it."""
    directory = user_cache.directory(f"osbuild-compose-templates/{_compiler()}")
    return CompiledTemplates(str(directory)) if directory else None


def _compiler() -> str:
    """A digest of the code that compiles templates: Jinja's and this package's."""
    digest = hashlib.sha256()
    for package in (jinja2.__file__, __file__):
        for path in sorted(Path(package).parent.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
