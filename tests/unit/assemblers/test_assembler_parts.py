"""What assemblers are made of, without tools and without privileges."""

import errno
import io
import struct
import tarfile
import zlib
from pathlib import Path

import pytest
from stagelib import api
from stagelib.disk import archive, bios_grub, crc32c, output, qemu_options, sizes, table, tools
from stagelib.disk.filesystems.ext4 import make as ext4
from stagelib.errors import StageError

UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
DISK = qemu_options.disk({"ptuuid": "0x14fc63d2", "root_fs_uuid": UUID, "size": 1 << 30})
NEEDED = ("biosdisk", "part_msdos", "ext2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (3221225472, 3221225472),
        ("512", 512),
        ("3G", 3 << 30),
        ("3GiB", 3 << 30),
        ("3GB", 3_000_000_000),
        ("10 M", 10 << 20),
        ("1T", 1 << 40),
    ],
)
def test_sizes_are_read_as_truncate_reads_them(text: int | str, expected: int) -> None:
    assert sizes.parse(text) == expected


@pytest.mark.parametrize("text", ["", "G", "3 G B", "-1", "1.5G", "3g", "3G\n"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(StageError, match="is not a size"):
        sizes.parse(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (1536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3072.0 GiB")]
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert sizes.human(size) == text


def test_tree_size_counts_links_once_and_holes_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 5000)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "dir").mkdir()
    (tmp_path / "short").symlink_to("a")
    (tmp_path / "long").symlink_to("x" * 60)
    size = sizes.of_tree(str(tmp_path))
    assert size.inodes == 6
    assert size.data == (1 + 2 + 1 + 1) * 4096  # the tree, a, dir, long


@pytest.mark.parametrize("text", ["0x14fc63d2", "14fc63d2", "14FC63D2-0000-4000-8000-000000000000"])
def test_disk_identifier(text: str) -> None:
    assert table.disk_id(text) == 0x14FC63D2


@pytest.mark.parametrize("text", ["", "0x14", "0x14fc63d2ff", "hello"])
def test_what_is_no_disk_identifier_is_refused(text: str) -> None:
    with pytest.raises(StageError, match="not a disk identifier"):
        table.disk_id(text)


def test_too_small_a_disk_is_refused() -> None:
    with pytest.raises(StageError, match="too small"):
        qemu_options.disk({"ptuuid": "0x14fc63d2", "root_fs_uuid": UUID, "size": 1 << 20})


def test_hash_seed_is_fixed_by_the_uuid() -> None:
    assert ext4.hash_seed(UUID) == "64e79352-1b8c-5d20-91e7-fa869dad30d9"
    assert ext4.hash_seed(UUID) != UUID


def test_crc32c_check_value() -> None:
    assert crc32c.crc32c(b"123456789") == 0xE3069283


def make_grub(root: Path, version: str) -> Path:
    """A directory of GRUB's modules under `root`."""
    modules = root / "usr/lib/grub/i386-pc"
    modules.mkdir(parents=True)
    (modules / "boot.img").write_bytes(bytes(512))
    (modules / "normal.mod").write_text(version)
    return modules


def test_the_trees_own_grub_is_taken(tmp_path: Path) -> None:
    own = make_grub(tmp_path / "tree", "2.12")
    make_grub(tmp_path / "host", "2.06")
    assert bios_grub.choose(str(tmp_path / "tree"), DISK, str(tmp_path / "host")) == bios_grub.Grub(
        str(own), "(,msdos1)/boot/grub", NEEDED
    )


def test_grub_must_match_modules_that_it_will_load(tmp_path: Path) -> None:
    make_grub(tmp_path / "tree", "2.12")
    host = make_grub(tmp_path / "host", "2.06")
    installed = tmp_path / "tree/boot/grub2/i386-pc"
    installed.mkdir(parents=True)
    (installed / "normal.mod").write_text("2.06")
    chosen = bios_grub.choose(str(tmp_path / "tree"), DISK, str(tmp_path / "host"))
    assert chosen == bios_grub.Grub(str(host), "(,msdos1)/boot/grub2", NEEDED)


def test_without_any_grub_the_packages_are_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no GRUB for BIOS") as caught:
        bios_grub.choose(str(tmp_path), DISK, str(tmp_path))
    assert "grub-pc-bin" in caught.value.hint
    assert "grub2-pc-modules" in caught.value.hint


def test_grub_keeps_the_partition_table_and_points_to_its_core(tmp_path: Path) -> None:
    modules = make_grub(tmp_path, "2.12")
    (modules / "boot.img").write_bytes(b"\x11" * 512)
    image = tmp_path / "image"
    image.write_bytes(b"\x22" * 4096)
    bios_grub.install(str(image), bios_grub.Grub(str(modules), "", ()), b"\x33" * 1000, bios_grub.Spot(512, 1536))
    data = image.read_bytes()
    assert data[440:512] == b"\x22" * 72
    assert struct.unpack_from("<Q", data, 0x5C)[0] == 1
    assert data[0x66:0x68] == b"\x90\x90"
    assert struct.unpack_from("<Q", data, 512 + 500)[0] == 2
    assert data[512:516] == b"\x33" * 4
    assert data[1512:] == b"\x22" * (4096 - 1512)


def test_core_image_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="1537 bytes, only 1536"):
        bios_grub.install(str(tmp_path), bios_grub.Grub("", "", ()), bytes(1537), bios_grub.Spot(512, 1536))


def test_result_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with output.staged(str(tmp_path), "disk") as partial:
            (Path(partial) / "disk").write_text("half")
            raise StageError("stop")

    with pytest.raises(StageError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []
    with output.staged(str(tmp_path), "disk") as partial:
        (Path(partial) / "disk").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["disk"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc/passwd", "a\0"])
def test_file_names_stay_in_the_output_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(StageError, match="not a file name"), output.staged(str(tmp_path), name):
        pass


def test_epoch_is_never_0_which_means_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert output.epoch() == 1


def test_full_disks_and_what_is_wrong_in_the_tree_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def hostile() -> None:
        raise OSError(errno.EINVAL, "not a regular file", "/tree/etc/os-release")

    def bug() -> None:
        raise ValueError("bug")

    assert api.guarded(full, tree="/tree", image=True) == 1
    assert "no space left for the image" in capsys.readouterr().err
    assert api.guarded(hostile, tree="/tree", image=True) == 1
    assert capsys.readouterr().err == "error: /etc/os-release: not a regular file\n"
    with pytest.raises(ValueError, match="bug"):
        api.guarded(bug, tree="/tree", image=True)
    assert api.guarded(lambda: None, tree="/tree") == 0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("mkfs.xfs version 6.1.0", (6, 1, 0)),
        ("mkfs.btrfs, part of btrfs-progs v6.2", (6, 2)),
        ("mke2fs 1.47.0 (5-Feb-2023)\n\tUsing EXT2FS Library version 1.47.0\n", (1, 47, 0)),
    ],
)
def test_versions(said: str, expected: tuple[int, ...]) -> None:
    assert tools.parse_version("mkfs", said) == expected


def test_a_program_without_a_version() -> None:
    with pytest.raises(StageError, match="mkfs printed no version: what"):
        tools.parse_version("mkfs", "what?")


def test_tar_is_passed_on_with_labels_and_attributes_sorted() -> None:
    packed = io.BytesIO()
    names = ["user.z", "user.a"]
    long = "p" * 200
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, size in (("./", 0), ("./first", 1000), (f"./{long}", 512), ("./none", 0)):
            info = tarfile.TarInfo(name)
            info.size = size
            info.type = tarfile.REGTYPE if name != "./" else tarfile.DIRTYPE
            if name == f"./{long}":
                info.pax_headers = {"comment": "1", **{f"SCHILY.xattr.{one}": one * 3 for one in names}}
            tar.addfile(info, io.BytesIO(b"x" * size))
        link = tarfile.TarInfo("./link")
        link.type, link.linkname = tarfile.LNKTYPE, "./first"
        tar.addfile(link)
    packed.seek(0)
    out = io.BytesIO()
    archive.copy_corrected(packed, out, {"/": "u:r:root", "/first": "u:r:é", "/link": "u:r:é", f"/{long}": "u:r:long"})
    assert len(out.getvalue()) % 10240 == 0
    out.seek(0)
    found = {}
    with tarfile.open(fileobj=out) as tar:
        for info in tar:
            file = tar.extractfile(info) if info.isreg() else None
            assert file is None or file.read() == b"x" * info.size
            found[info.name] = {key: value for key, value in info.pax_headers.items() if key != "path"}
    label = {"RHT.security.selinux": "u:r:é", "SCHILY.xattr.security.selinux": "u:r:é\0"}
    assert found["."] == {key: value.replace("é", "root") for key, value in label.items()}
    assert found["./first"] == label
    assert found["./none"] == found["./link"] == {}
    attributes = {f"SCHILY.xattr.{one}": one * 3 for one in names}
    labelled = {key: value.replace("é", "long") for key, value in label.items()}
    assert found[f"./{long}"] == {"comment": "1", **attributes, **labelled}
    assert list(found[f"./{long}"]) == sorted(found[f"./{long}"])
    with pytest.raises(StageError, match="ends too early"):
        archive.copy_corrected(io.BytesIO(packed.getvalue()[:2000]), io.BytesIO(), {})


@pytest.mark.parametrize("length", [1, 90, 91, 980, 990, 9990])
def test_a_pax_record_says_its_own_length(length: int) -> None:
    record = archive.format_records({b"key": b"v" * length})
    assert int(record.split(b" ")[0]) == len(record)
    assert archive.parse_records(record) == {b"key": b"v" * length}


def test_tar_numbers() -> None:
    assert archive.parse_number(b"00000001750\0") == 1000
    assert archive.parse_number(b"\x80" + (1 << 33).to_bytes(11, "big")) == 1 << 33


def test_lzop_time_is_cleared(tmp_path: Path) -> None:
    fields = struct.pack(">HHHBBIIII", 0x1040, 0x20A0, 0x0940, 1, 5, 0, 0o100644, 1234, 5)
    fields += b"\x04name"
    path = tmp_path / "a.lzo"
    path.write_bytes(archive.LZOP_MAGIC + fields + struct.pack(">I", zlib.adler32(fields)) + b"data" * 20)
    archive.clear_lzop_time(str(path))
    data = path.read_bytes()
    cleared = data[9 : 9 + len(fields)]
    assert cleared[16:24] == bytes(8)
    assert cleared[24:] == b"\x04name"
    assert struct.unpack(">I", data[9 + len(fields) :][:4])[0] == zlib.adler32(cleared)
    assert data.endswith(b"data" * 20)
