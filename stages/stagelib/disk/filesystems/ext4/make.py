"""Make an ext4 from a directory with mke2fs, the same bytes every time."""

import os
import uuid
from collections.abc import Callable, Mapping

from stagelib import selinux
from stagelib.disk import output, sizes, swap_files, tools
from stagelib.disk.filesystems.ext4 import debugfs, device_nodes, make_reproducible, old_mke2fs
from stagelib.disk.sizes import BLOCK, MIB, human
from stagelib.errors import StageError

INODE_SIZE = 256
BYTES_PER_INODE = 16384
RESERVED_INODES = 11
LIMITS_TIMES = (1, 47, 1)  # the first mke2fs that knows SOURCE_DATE_EPOCH

# The host's mke2fs.conf is ignored: newer defaults (orphan_file, metadata_csum_seed) stop GRUB 2.06 and older
# kernels from reading the file system, and other defaults would mean other bytes.
CONFIG = """\
[defaults]
    base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
    default_mntopts = acl,user_xattr
    enable_periodic_fsck = 0
[fs_types]
    ext4 = {
        features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
    }
"""


def make(
    image: str,
    tree: str,
    *,
    offset: int,
    size: int,
    fs_uuid: str,
    epoch: int,
    labels: Callable[[], Mapping[str, str]],
    label: str = "",
) -> None:
    """Make an ext4 of `size` bytes at `offset` in the file `image` (zeroes there) that holds `tree`.

    Owners, modes, extended attributes, ACLs, hard links, holes, device nodes (in the tree, or their placeholders) and
    times of modification are the tree's; all other times become `epoch` (seconds since 1970). labels returns the
    SELinux labels by path, as labels.in_background() does; label is the file system's own. Raises StageError when the
    tree does not fit or is not readable.
    """
    need = sizes.of_tree(tree)
    files = make_reproducible.survey(tree)
    # Names with a line break are out of debugfs' reach.
    limits_times = tools.version("mke2fs", "-V") >= LIMITS_TIMES and make_reproducible.can_be_named(files)
    with output.scratch() as work:
        argv, env = _mke2fs(work, offset=offset, size=size, fs_uuid=fs_uuid, epoch=epoch, inodes=need.inodes)
        env["SOURCE_DATE_EPOCH"] = str(epoch) if limits_times else None
        argv += ["-L", label] if label else []
        try:
            tools.run([*argv, "-d", tree, image, _kib(size)], env=env)
        except tools.ToolError as error:
            if "Could not allocate" not in error.output:
                raise
            raise _too_small(need, _room(work, argv, env, offset, size), size) from None
    debugfs.fill_holes(
        image,
        offset,
        {
            file.path: file.info.st_size // BLOCK
            for file in files
            if file.path != f"/{selinux.RECORD}" and swap_files.is_swap_file(file.host, file.info)
        },
        epoch,
    )
    wanted = labels()
    if limits_times:
        make_reproducible.make_reproducible(
            image, files, offset=offset, epoch=epoch, wanted=wanted, leave_out=selinux.RECORD
        )
    else:
        old_mke2fs.make_reproducible(image, tree, offset=offset, epoch=epoch, wanted=wanted, leave_out=selinux.RECORD)
    device_nodes.replace_placeholders(image, offset, files)


def _mke2fs(
    work: str, *, offset: int, size: int, fs_uuid: str, epoch: int, inodes: int
) -> tuple[list[str], dict[str, str | None]]:
    """The command line without tree, file and size, and its environment."""
    config = os.path.join(work, "mke2fs.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG)
    # Enough inodes for the tree and for later use, even in a small image with many files.
    count = max(size // BYTES_PER_INODE, inodes + inodes // 4 + RESERVED_INODES)
    extended = [
        f"offset={offset}",
        f"hash_seed={hash_seed(fs_uuid)}",
        "root_owner=0:0",
        # The file is new: there is nothing to discard, and its holes are zeroes, so inode tables need not be written,
        # neither here nor by the kernel at the first boot. (lazy_itable_init=0 costs nothing then.)
        "nodiscard",
        "lazy_itable_init=0",
        "lazy_journal_init=1",
    ]
    argv = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK), "-I", str(INODE_SIZE), "-N", str(count)]
    argv += ["-U", fs_uuid, "-E", ",".join(extended)]
    return argv, {"MKE2FS_CONFIG": config, "E2FSPROGS_FAKE_TIME": str(epoch)}


def hash_seed(fs_uuid: str) -> str:
    """The seed of directory hashes, derived from the file system's UUID but different from it."""
    return str(uuid.uuid5(uuid.UUID(fs_uuid), "ext4 hash seed"))


def _room(work: str, argv: list[str], env: tools.Environment, offset: int, size: int) -> int:
    """The free bytes of the same file system when it is empty."""
    empty = os.path.join(work, "empty")
    with open(empty, "wb") as file:
        file.truncate(offset + size)
    tools.run([*argv, empty, _kib(size)], env=env)
    return debugfs.free_blocks(empty, offset) * BLOCK


def _kib(size: int) -> str:
    return f"{size // 1024}k"


def _too_small(need: sizes.TreeSize, room: int, size: int) -> StageError:
    # Block bitmaps, long attributes and large directories were not counted.
    lack = max(need.data - room, MIB)
    enough = -(-(size + lack + lack // 8 + 16 * MIB) // MIB) * MIB
    return StageError(
        f"the tree does not fit: it has {human(need.data)} in {need.inodes} files and directories, the root file "
        f"system has room for {human(room)}: {human(lack)} too little",
        f"raise size to {enough} bytes ({human(enough)}) or more",
    )
