"""What the tree has only while packages are installed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from stagelib import intree, lookup

MACHINE_ID = "/etc/machine-id"
# Boot entries are named after it. osbuild's value, which fix-ups and documentation know.
FAKE_MACHINE_ID = "f" * 32 + "\n"
# An initramfs fitted to the build machine would start no other; without hostonly it depends on the packages alone.
DRACUT = "/etc/dracut.conf.d/zz-osbuild-compose.conf"
DRACUT_SETTINGS = 'hostonly="no"\nhostonly_cmdline="no"\nreproducible="yes"\n'
# kernel-install(8) runs what is here instead of the same names below /usr/lib.
INITRAMFS = ("/etc/kernel/install.d/50-dracut.install", "/etc/kernel/install.d/51-dracut-rescue.install")
# %_netsharedpath keeps rpm from making them.
MOUNT_POINTS = {"/dev": 0o755, "/proc": 0o555, "/sys": 0o555}


@contextmanager
def present(tree: str, *, dracut: bool = True) -> Iterator[None]:
    """Mount points, a machine id and settings for dracut are in the tree inside the block; the last two go at its end.

    The machine id is left empty, as machine-id(5) asks for images, unless the tree had one of its own.
    dracut: whether kernels get an initramfs meanwhile.
    """
    for path, mode in MOUNT_POINTS.items():
        intree.make_dirs(tree, path, mode=mode)
    own_id = (lookup.text(tree, MACHINE_ID) or "").strip()
    if not own_id:
        intree.write_file(tree, MACHINE_ID, FAKE_MACHINE_ID, mode=0o444)
    intree.write_file(tree, DRACUT, DRACUT_SETTINGS)
    masked = [] if dracut else [path for path in INITRAMFS if not intree.exists(tree, path)]
    for path in masked:
        intree.write_symlink(tree, path, "/dev/null")
    yield
    for path in masked:
        intree.remove(tree, path)
    intree.remove(tree, DRACUT)
    directory = intree.resolve(tree, os.path.dirname(DRACUT))
    if not intree.exists(tree, "/usr/lib/dracut") and not os.listdir(directory):
        os.rmdir(directory)
    if not own_id:
        intree.write_file(tree, MACHINE_ID, "", mode=0o444)
