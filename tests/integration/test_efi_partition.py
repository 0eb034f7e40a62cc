"""What boot loaders need of the EFI system partition: room for kernels, and root hashes among the kernel's options."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from stagelib import kernel_install, uki
from stagelib.disk.filesystems import fat
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.layout import FileSystem
from stagelib.disk.planner import Place
from stagelib.disk.tree_parts import TreePart

from tests.integration.assembling import EPOCH, MIB, assemble
from tests.integration.test_disk_layouts import IMAGE, options, partition, refusal, run, split, tmp_path_of, uuid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="splits trees by mounts: needs root")

KERNEL = "boot/efi/EFI/BOOT/BOOTX64.EFI"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A little of a system, with a unified kernel image of 6 MB that names a root hash."""
    made = tmp_path / "tree"
    for directory in ("etc", "srv", KERNEL.rpartition("/")[0], "tmp"):
        (made / directory).mkdir(parents=True)
    (made / "srv/data").write_text("served")
    staging = tmp_path / "staging"
    staging.mkdir()
    (staging / "kernel").write_bytes(os.urandom(6_000_000))
    (staging / "cmdline").write_text("root=UUID=x ro usrhash=@roothash:/srv@ quiet\n")
    plugin = staging / "plugin"
    plugin.write_text(kernel_install.OBJCOPY_PLUGIN.replace("/etc/kernel/cmdline", f"{staging}/cmdline"))
    (staging / "area").mkdir()
    environment = {"LAYOUT": "uki", "ENTRY_TOKEN": "d", "BOOT_ROOT": f"{staging}", "STAGING_AREA": f"{staging}/area"}
    subprocess.run(
        ["sh", plugin, "add", "6.1", staging / "d", staging / "kernel"],
        env={"PATH": "/usr/bin:/bin"} | {f"KERNEL_INSTALL_{name}": value for name, value in environment.items()},
        check=True,
    )
    shutil.copy(staging / "EFI/Linux/d-6.1.efi", made / KERNEL)
    return made


def test_a_root_hash_gets_into_a_unified_kernel_image(tree: Path, tmp_path: Path) -> None:
    hashes = {"of": 2, "uuid": uuid(40), "salt": "ab" * 32, "filename": "srv.roothash"}
    items = [
        partition("esp", "esp", 1, "vfat", "/boot/efi"),
        partition("srv", "srv", 2, "squashfs", "/srv"),
        partition("linux", "srv-verity", 3, hashes=hashes),
        partition("root-x86-64", "root", 4, "ext4", "/"),
    ]
    wanted = options(partitions=items, root_hash_files=["/boot/efi/EFI/BOOT/BOOT*.EFI"])
    result = assemble(tree, IMAGE, wanted, tmp_path / "out")
    assert result.status == 0, result.log
    esp = split(tmp_path / "out/disk.raw", tmp_path / "parts")["esp"]
    run("mcopy", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "made.efi")
    made, before = (tmp_path / "made.efi").read_bytes(), (tree / KERNEL).read_bytes()
    root_hash = (tmp_path / "out/srv.roothash").read_text().strip()
    assert uki.command_line(made).decode() == f"root=UUID=x ro usrhash={root_hash} quiet"
    assert uki.with_command_line(made, uki.command_line(before)) == uki.with_command_line(
        before, uki.command_line(before)
    )


@pytest.mark.parametrize(("size", "spare"), [(4 * MIB, 0), (6 * MIB, 20 * 1024)])
def test_too_little_room_for_kernels_is_reported_with_what_is_lacking(
    tree: Path, tmp_path: Path, size: int, spare: int
) -> None:
    """The second size has room for all files, but not for the tables of the file system as well."""
    left = size - spare - (tree / KERNEL).stat().st_size
    (tree / "boot/efi/more").write_bytes(bytes(max(0, left // 4096 * 4096)))
    root = partition("root-x86-64", "root", 2, "ext4", "/")
    told = refusal(tree, tmp_path, partition("esp", "esp", 1, "vfat", "/boot/efi", size=size), root)
    assert re.search(r"esp \(/boot/efi\).* MiB.* too little", told), told
    assert "/boot/efi/EFI/BOOT 5.8 MiB" in told, told
    assert re.search(r"make (it|the partition) \d+ MiB or larger", told), told
    assert ("for its FAT" in told) == (spare > 0), told


def test_files_of_fat_are_copied_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line has room for so many; those of all parts have to be there."""
    monkeypatch.setattr(fat, "AT_ONCE", 3)
    content, work, image = tmp_path / "content", tmp_path / "work", tmp_path / "fat"
    names = [f"{number}/{file}" for number in range(5) for file in "abcd"]
    for name in names:
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        (content / name).write_text(name)
    work.mkdir()
    image.touch()
    spec = FileSystem("vfat", "1234-ABCD", mountpoint="/")
    spec = FsSpec(spec, str(content), {"/": TreePart(str(content), "/")}, str(work), EPOCH)
    fat.make(spec, str(image), Place(0, 4 * MIB))
    run("mcopy", "-s", "-i", image, "::/*", tmp_path_of(tmp_path, "read"))
    assert {name: (tmp_path / "read" / name).read_text() for name in names} == {name: name for name in names}
