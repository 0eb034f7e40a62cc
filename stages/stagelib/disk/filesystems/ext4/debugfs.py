"""Change an ext4 image with debugfs(8), which updates all checksums."""

import os
import re
import stat
from collections.abc import Mapping

from stagelib.disk import tools
from stagelib.errors import StageError

ROOT = 2  # the root directory's inode


class Values:
    """Values of extended attributes, each in a file of the directory `work` for debugfs to read."""

    def __init__(self, work: str) -> None:
        self._work = work
        self._paths: dict[bytes, str] = {}

    def path(self, value: bytes) -> str:
        """The file with this value."""
        if value not in self._paths:
            self._paths[value] = os.path.join(self._work, str(len(self._paths)))
            with open(self._paths[value], "wb") as file:
                file.write(value)
        return self._paths[value]


def quoted(text: str) -> str:
    """A path or the name of an attribute as one word of a command. Raises StageError when it has a line break."""
    if "\n" in text:
        raise StageError(f"debugfs cannot be given a name with a line break: {text!r}")
    return '"' + text.replace('"', '""') + '"'


def root_directory(directory: str) -> list[str]:
    """Commands that give the root directory the mode, owner and time of `directory`; mke2fs -d leaves them out."""
    info = os.stat(directory)
    mode = stat.S_IFDIR | stat.S_IMODE(info.st_mode)
    return [
        f"sif <{ROOT}> mode 0{mode:o}",
        f"sif <{ROOT}> uid {info.st_uid}",
        f"sif <{ROOT}> gid {info.st_gid}",
        f"sif <{ROOT}> mtime @{int(info.st_mtime)}",
    ]


def removal(path: str, inode: int, blocks: int) -> list[str]:
    """Commands that remove a file, overwrite its `blocks` blocks, and clear its inode."""
    return [
        *(f"zap_block -f {quoted(path)} {block}" for block in range(blocks)),
        f"rm {quoted(path)}",
        f"clri <{inode}>",
    ]


def fill_holes(image: str, offset: int, files: Mapping[str, int], epoch: int) -> None:
    """Allocate all blocks of these files, whose number is given by their paths. Raises StageError without room."""
    commands = [f"fallocate {quoted(path)} 0 {blocks - 1}" for path, blocks in files.items()]
    if commands:
        run(image, offset, commands, epoch)


def run(image: str, offset: int, commands: list[str], epoch: int) -> None:
    """Run the commands on the ext4 at byte `offset` of `image`, at the time `epoch`.

    debugfs ends with 0 whatever happens, but prints nothing when all is well. Raises StageError with what it printed.
    """
    said = tools.run(
        ["debugfs", "-w", "-f", "-", f"{image}?offset={offset}"],
        # kbytes_written counts what debugfs writes, too; libext2fs leaves it alone when it is 0.
        stdin="\n".join([*commands, "ssv kbytes_written 0", ""]),
        env={"E2FSPROGS_FAKE_TIME": str(epoch)},
    )
    # The first line is its version, the others its prompts with the commands: the rest are complaints.
    complaints = [line for line in said.splitlines() if line and not line.startswith("debugfs")]
    if complaints:
        raise StageError(f"debugfs could not make the file system reproducible: {complaints[0]}")


def inode_of(image: str, offset: int, path: str) -> int:
    """The number of a file's inode."""
    return _number("Inode", tools.run(["debugfs", "-R", f"stat {quoted(path)}", f"{image}?offset={offset}"]))


def free_blocks(image: str, offset: int) -> int:
    """How many blocks are free."""
    return _number("Free blocks", tools.run(["debugfs", "-R", "stats -h", f"{image}?offset={offset}"]))


def _number(field: str, said: str) -> int:
    found = re.search(rf"^{field}: +([0-9]+)", said, re.MULTILINE)
    if found is None:
        raise StageError(f"debugfs printed no {field.lower()}")
    return int(found[1])
