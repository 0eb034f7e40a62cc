"""A live system to start over a network: kernel, initramfs and root in one archive, with a script for iPXE."""

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
kernel vmlinuz initrd=initrd.img {standard} fetch=${{base}}/{root} ip=dhcp{options}
initrd initrd.img
boot
:unknown
echo This iPXE does not tell where a script came from. Tell it, and start again:
echo set base http://server/directory
exit 1
"""


def make(run: Run, options: Mapping[str, Any], path: str) -> None:
    """Make the archive, to be unpacked where a web server finds it. Options: kernel_opts."""
    chosen = live.kernel(run.tree)
    extra = f" {options['kernel_opts']}" if options.get("kernel_opts") else ""
    contents: dict[str, bundle.Content] = {
        "boot.ipxe": SCRIPT.format(standard=live.KERNEL_OPTS, root=live.ROOT, options=extra).encode(),
        "vmlinuz": bundle.File(chosen.image),
        "initrd.img": bundle.File(chosen.initramfs),
        live.ROOT: bundle.File(file_systems.squashed(run)),
    }
    bundle.tar(path, contents, run.epoch)
