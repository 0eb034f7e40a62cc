"""Package files and repositories that are files of the manifest's sources."""

import glob
import os
from collections.abc import Mapping

from stagelib.errors import StageError

SOURCES = "/run/osbuild/sources"  # a directory for each source, with files by their checksums


def path_of(checksum: str) -> str:
    """The path of the source with this checksum ("sha256:HEX"). Raises StageError if there is none."""
    found = glob.glob(f"{SOURCES}/*/{glob.escape(checksum)}")
    if not found:
        raise StageError(
            f"{checksum} is not among the manifest's sources",
            'add its URL in "sources": {"org.osbuild.files": {"urls": {CHECKSUM: URL}}}',
        )
    return found[0]


def lay_out(root: str, files: Mapping[str, str]) -> None:
    """Make a directory with links to sources: checksums by paths. Raises StageError for a checksum without a source."""
    for path, checksum in files.items():
        target = f"{root}/{path}"
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(path_of(checksum), target)
