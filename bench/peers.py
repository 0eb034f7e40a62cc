"""Commands of other tools that make the same image, for comparison with ours."""

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """What to install: apt source lines, package names (the pipeline's own) and the tree's architecture."""

    lines: tuple[str, ...]
    packages: tuple[str, ...]
    architecture: str
    check_valid_until: bool


def mmdebstrap(source: Source, target: Path) -> list[str]:
    """The command that makes a tree, or a tarball when `target` ends in .tar, with the same packages."""
    options = [] if source.check_valid_until else ['--aptopt=Acquire::Check-Valid-Until "false"']
    suite = source.lines[0].split()[-2]
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        f"--architectures={source.architecture}",
        f"--include={','.join(source.packages)}",
        *options,
        suite,
        str(target),
        *source.lines,
    ]


def with_image(source: Source, work: Path) -> list[str]:
    """mmdebstrap, then a file system and a qcow2 without boot loader: the minimum cost of an image."""
    tree, raw, image = work / "tree", work / "fs.raw", work / "image.qcow2"
    steps = [
        shlex.join(mmdebstrap(source, tree)),
        f"mke2fs -q -t ext4 -d {tree} {raw} 4G",
        f"qemu-img convert -W -m 16 -O qcow2 {raw} {image}",
    ]
    return ["sh", "-ec", " && ".join(steps)]


def plain_image(tree: Path, work: Path) -> list[str]:
    """A file system of a tree's files, and a qcow2 of it: the baseline for our assembler."""
    raw, image = work / "fs.raw", work / "image.qcow2"
    return ["sh", "-ec", f"mke2fs -q -t ext4 -d {tree} {raw} 4G && qemu-img convert -O qcow2 {raw} {image}"]


def debos(source: Source, work: Path) -> list[str] | None:
    """debos without its virtual machine, as root, to a tarball; None if debos cannot run here.

    It installs from the first of the sources only: the same packages, some of them in older versions.
    """
    if os.geteuid() != 0 or any(shutil.which(tool) is None for tool in ("debos", "debootstrap", "systemd-nspawn")):
        return None
    mirror, suite = source.lines[0].split()[-3:-1]
    recipe = work / "recipe.yaml"
    recipe.write_text(
        "\n".join(
            [
                f"architecture: {source.architecture}",
                "actions:",
                "  - action: debootstrap",
                "    variant: minbase",
                "    components: [main]",
                f"    suite: {suite}",
                f"    mirror: {mirror}",
                "  - action: apt",
                "    recommends: false",
                "    packages: [" + ", ".join(source.packages) + "]",
                "  - {action: pack, file: image.tar, compression: none}",
            ]
        )
    )
    return ["debos", "--disable-fakemachine", f"--artifactdir={work}", str(recipe)]
