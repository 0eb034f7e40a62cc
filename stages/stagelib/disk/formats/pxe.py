"""A live system to boot over a network: kernel, initramfs and root in one archive, with a script for iPXE."""

import os
from collections.abc import Mapping
from typing import Any

from stagelib.disk.formats import bundle, file_systems, live
from stagelib.disk.formats.run import Run

# ${...} is iPXE's, https://ipxe.org/cfg/cwduri: the directory that the script came from. The system fetches its root by
# itself and needs the whole address.
SCRIPT = """\
#!ipxe
isset ${{base}} || set base ${{cwduri}}
isset ${{base}} || goto unknown
kernel vmlinuz initrd=initrd.img {options}
initrd initrd.img
boot
:unknown
echo This iPXE does not tell where a script came from. Tell it, and start again:
echo set base http://server/directory
exit 1
"""


def make(run: Run, options: Mapping[str, Any], path: str) -> None:
    """Make the archive, to be unpacked where a web server finds it. Options: kernel_opts."""
    starter, chosen = live.starter(run.tree, network=True), live.kernel(run.tree)
    root = os.path.basename(starter.root)
    own = starter.network.format(f"${{base}}/{root}")
    contents: dict[str, bundle.Content] = {
        "boot.ipxe": SCRIPT.format(options=" ".join(filter(None, (own, options.get("kernel_opts"))))).encode(),
        "vmlinuz": bundle.File(chosen.image),
        "initrd.img": bundle.File(chosen.initramfs),
        root: bundle.File(file_systems.squashed(run)),
    }
    bundle.tar(path, contents, run.epoch)
