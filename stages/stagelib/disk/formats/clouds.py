"""Disks as clouds and other importers take them: in an archive, under a name that they know."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

from stagelib.disk import compress, output, tools
from stagelib.disk.errors import ImageError
from stagelib.disk.formats.run import Run
from stagelib.disk.sizes import human

GIB = 1 << 30


def gce(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """A disk for Google Compute Engine: disk.raw in a gzipped tar archive of GNU's old form, a whole number of GiB.

    https://cloud.google.com/compute/docs/import/import-existing-image: "Requirements for the image file".
    """
    if run.raw.plan.size % GIB:
        raise ImageError(
            f"Compute Engine takes disks of whole GiB, and this one has {human(run.raw.plan.size)}",
            "make the size a multiple of 1 GiB, or leave it out",
        )
    with output.scratch_beside(os.path.dirname(path)) as work:
        os.link(run.raw.path, os.path.join(work, "disk.raw"))
        argv = ["tar", "--create", "--file=-", f"--directory={work}", "--format=oldgnu", "--sparse"]
        argv.append("--hole-detection=raw")  # which blocks are holes is up to the file system, and to when it is asked
        argv += ["--owner=0", "--group=0", "--numeric-owner", "--mode=0644", f"--mtime=@{run.epoch}", "disk.raw"]
        with compress.writing({"gzip": path}) as file:
            tools.pipe(argv, lambda source: shutil.copyfileobj(source, file, compress.BUFFER))
