"""Templates that were compiled before, kept in the user's cache: compiling them takes longer than rendering them."""

import contextlib
import hashlib
import os
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, FileSystemBytecodeCache


class CompiledTemplates(FileSystemBytecodeCache):
    """Python's code of templates, by their names, places and content. Where nothing can be kept, nothing is."""

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket, if its template is there."""
        with contextlib.suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what is in the bucket."""
        with contextlib.suppress(OSError):
            super().dump_bytecode(bucket)


def cache() -> CompiledTemplates | None:
    """The user's, of this Jinja and this program; None where it cannot be made or others may write to it."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    top = (home if home.is_absolute() else Path.home() / ".cache") / "osbuild-compose-templates"
    directory = top / _maker()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.stat()
    except (OSError, RuntimeError):
        return None
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        return None
    return CompiledTemplates(str(directory))


def _maker() -> str:
    """A name for what decides about the code besides the templates: Jinja's own code, and that of this package."""
    digest = hashlib.sha256()
    for package in (jinja2.__file__, __file__):
        for path in sorted(Path(package).parent.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
