"""What the tree has only while packages are installed, and what is left to do afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from stagelib import bls, tree_paths
from stagelib.dnf import databases
from stagelib.packages import cleanup, secrets
from stagelib.packages.cleanup import date_directories

MACHINE_ID = "/etc/machine-id"
# Boot entries are named after it. The value is osbuild's.
FAKE_MACHINE_ID = "f" * 32 + "\n"
# An initramfs for the build machine would boot no other; without hostonly it depends on the packages alone.
DRACUT = "/etc/dracut.conf.d/zz-osbuild-compose.conf"
DRACUT_SETTINGS = 'hostonly="no"\nhostonly_cmdline="no"\nreproducible="yes"\n'
# kernel-install(8) runs these instead of the same names below /usr/lib.
INITRAMFS = ("/etc/kernel/install.d/50-dracut.install", "/etc/kernel/install.d/51-dracut-rescue.install")
# %_netsharedpath keeps rpm from creating them.
MOUNT_POINTS = {"/dev": 0o755, "/proc": 0o555, "/sys": 0o555}


@contextmanager
def in_place(tree: str, *, dracut: bool = True) -> Iterator[None]:
    """Inside the block the tree has mount points, a machine id and dracut settings; the latter two are temporary.

    The machine id is left empty, as machine-id(5) recommends for images, unless the tree had one before. Secrets that
    packages make inside the block are removed.
    dracut: whether kernels get an initramfs inside the block.
    """
    for path, mode in MOUNT_POINTS.items():
        tree_paths.make_dirs(tree, path, mode=mode)
    own_id = (tree_paths.text_or_none(tree, MACHINE_ID) or "").strip()
    if not own_id:
        tree_paths.write_file(tree, MACHINE_ID, FAKE_MACHINE_ID, mode=0o444)
    tree_paths.write_file(tree, DRACUT, DRACUT_SETTINGS)
    masked = [] if dracut else [path for path in INITRAMFS if not tree_paths.exists(tree, path)]
    for path in masked:
        tree_paths.write_symlink(tree, path, "/dev/null")
    with secrets.removed_again(tree):
        yield
    for path in masked:
        tree_paths.remove(tree, path)
    tree_paths.remove(tree, DRACUT)
    if not tree_paths.exists(tree, "/usr/lib/dracut"):
        tree_paths.remove_if_empty(tree, os.path.dirname(DRACUT))
    if not own_id:
        tree_paths.write_file(tree, MACHINE_ID, "", mode=0o444)


def finish(tree: str, dbpath: str, epoch: int) -> None:
    """Clean the tree after an installation by dnf or rpm. dbpath: its rpm database; epoch: seconds since 1970.

    Raises StageError when the tree's own rpm would look for the database in another place.
    """
    databases.check_location(tree, dbpath)
    databases.make_reproducible(tree, dbpath, epoch)
    bls.set_prefix(tree, "/boot")
    cleanup.clean_after_dnf(tree)
    date_directories(tree, epoch)
