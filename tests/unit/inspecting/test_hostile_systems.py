"""Systems with hostile files: analysing them takes bounded time and memory."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.inspecting import disk, lvm
from osbuild_compose.inspecting.analysis import accounts, bootloader, packages, services, system
from osbuild_compose.inspecting.disk import Volume
from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.file_systems import FileSystem
from osbuild_compose.inspecting.output import as_json
from osbuild_compose.inspecting.report import Boot, ImageFile, Report
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import Entry, FileType, TooMuchError
from osbuild_compose.inspecting.trees.by_inode import walk
from osbuild_compose.inspecting.warnings import Warnings
from tests.unit.inspecting.written import Written

TOP = "/usr/lib/osbuild-compose"


@pytest.mark.parametrize("value", ["[" * 300 + "]" * 300, "NaN", "-Infinity", "1e999"])
def test_embedded_documents_can_be_written_as_json(value: str) -> None:
    """Deeply nested lists, and numbers that Python parses but JSON does not have."""
    documents = {f"{TOP}/build.json": f'{{"a": {value}}}', f"{TOP}/lock.json": '{"b": [1.5]}'}
    found = system.provenance(Written(documents))
    assert found == system.Provenance(None, None, {"b": [1.5]})
    nothing = (None, None, (), Boot((), ()), None)
    assert '"b"' in as_json(Report(ImageFile("a", "raw", 1, 1), *nothing, found, ()))


def test_fields_of_many_megabytes_are_not_split() -> None:
    long = "x" * 4_000_000
    assert system.os_release(Written({"/etc/os-release": f"NAME={long[:1000_000]}\n"}))["NAME"] == long[:1000_000]
    menu = f"menuentry 'a' {{\nlinux /vmlinuz {long}\n"
    assert bootloader.grub_menu(menu, "g")[0].options == long


def test_variables_of_a_boot_entry_do_not_multiply() -> None:
    made = bootloader.bls("options " + "$a" * 30_000, "b.conf", {"a": "x" * 4000})
    assert len(made.options) < 200_000


def test_boot_entries_and_programs_have_an_end() -> None:
    menus = {f"/boot/loader/entries/{number:05}.conf": "linux /vmlinuz\n" for number in range(1500)}
    assert len(bootloader.entries(Written(menus), ("/boot",))) == 1000
    programs: dict[str, str | bytes] = {f"/efi/EFI/a/{number}.efi": b"MZ" for number in range(500)}
    tree = Written(programs)
    bootloader.efi(tree, "/efi")
    assert len(tree.was_read) == 100


def test_users_that_share_a_home_have_its_keys_read_once() -> None:
    rows = "".join(f"u{number}:x:{number}:1::/home:/bin/sh\n" for number in range(50))
    tree = Written({"/etc/passwd": rows, "/home/.ssh/authorized_keys": "ssh-ed25519 AAAA\n"})
    assert {user.ssh_keys for user in accounts.users(tree)} == {1}
    assert tree.was_read.count("/home/.ssh/authorized_keys") == 1


def test_more_users_units_and_packages_than_any_system_has_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_MAX_USERS", 5)
    with pytest.raises(TooMuchError, match="more than 5 users can log in"):
        accounts.users(Written({"/etc/passwd": "a:x:1:1::/:/bin/sh\n" * 6}))
    monkeypatch.setattr(services, "_MAX_UNITS", 5)
    top = "/etc/systemd/system"
    links = {f"{top}/{number}.wants": "-> /many" for number in range(3)}
    with pytest.raises(TooMuchError, match="more than 5 units"):
        services.services(Written({**links, "/many/a": "", "/many/b": ""}))
    monkeypatch.setattr(packages, "_MAX_STATUS", 100)
    status = {f"/var/lib/dpkg/status.d/{number}": "Package: a\n" * 4 for number in range(3)}
    with pytest.raises(TooMuchError, match="more than 100 bytes"):
        packages.packages(Written(status), Tools(Path("/nonexistent")))


def volume(tree: Written, kind: str = "ext4") -> Volume:
    return Volume(None, None, FileSystem(kind, "u", None, 1, 1), tree)


def test_an_fstab_mounts_no_more_than_fits() -> None:
    files = {"/etc/passwd": "", "/etc/fstab": "".join(f"UUID=u /m{number} ext4\n" for number in range(200))}
    with pytest.raises(TooMuchError, match="fstab"):
        disk.system([volume(Written(files))], Warnings())


def test_an_fstab_that_cannot_be_read_hides_no_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bytes:
        raise ToolError("it is damaged")

    tree = Written({"/etc/passwd": "", "/etc/fstab": ""})
    monkeypatch.setattr(tree, "content", fails)
    warnings = Warnings()
    found, mounts = disk.system([volume(tree)], warnings)
    assert found is tree
    assert [mount.point for mount in mounts] == ["/"]
    assert [one.message for one in warnings.all] == ["/etc/fstab cannot be read: it is damaged"]


def test_links_are_no_subvolumes() -> None:
    """Many symlinks to one large directory would count as many large directories."""
    tree = Written({"/many/etc/passwd": "", "/many/usr/a": "", **{f"/l{number}": "-> many" for number in range(9)}})
    found, _ = disk.system([volume(tree, "btrfs")], Warnings())
    assert found is not None
    assert found.names("/") == ["etc", "usr"]
    assert disk.system([volume(Written({"/a/b/c": "", "/l": "-> a"}), "btrfs")], Warnings()) == (None, [])


def test_a_disk_is_read_no_further_than_its_files_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """All partitions may be at the same place."""
    one = volume(Written({f"/{number}": "" for number in range(60)}))
    monkeypatch.setattr(disk, "_each", lambda *_: iter([one] * 10))
    monkeypatch.setattr(disk, "MAX_ENTRIES", 100)
    warnings = Warnings()
    nothing: Any = None
    assert len(disk.volumes(nothing, None, nothing, warnings)) == 2
    assert "the rest of the disk is not read" in warnings.all[0].message


def test_a_directory_in_itself_ends() -> None:
    listings = {
        1: [("a", Entry(FileType.DIRECTORY, handle=2)), (".", Entry(FileType.DIRECTORY, handle=1))],
        2: [
            ("up", Entry(FileType.DIRECTORY, handle=1)),
            ("f", Entry(FileType.FILE, handle=3)),
            ("", Entry(FileType.FILE)),
        ],
    }
    found = walk(1, lambda handles: [listings[int(str(handle))] for handle in handles])
    assert [path for path, _ in found] == ["/a", "/a/up", "/a/f"]


def physical_volume(tmp_path: Path, text: bytes) -> Extent:
    """A partition of LVM with this metadata."""
    label = b"LABELONE" + bytes(12) + struct.pack("<I", 32) + b"LVM2 001"
    places = struct.pack("<QQQQQQQQ", 1 << 20, 0, 0, 0, 4096, 1 << 20, 0, 0)
    checksum = zlib.crc32(text, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    head = b"\0\0\0\0 LVM2 x[5A%r0N*>" + struct.pack("<I16x", 1)
    head = head.ljust(40, b"\0") + struct.pack("<QQI", 512, len(text), checksum)
    content = bytes(512) + (label + b"u" * 32 + bytes(8) + places).ljust(3584, b"\0") + head.ljust(512, b"\0") + text
    (tmp_path / "pv").write_bytes(content)
    return Extent.whole(tmp_path / "pv")


GROUP = """vg {{ extent_size = {size}
physical_volumes {{ pv0 {{ id = "{id}" pe_start = 2048 }} }}
logical_volumes {{ lv {{ status = ["VISIBLE"]
segment_count = 1
segment1 {{ type = "striped" start_extent = 0 extent_count = 1 stripe_count = 1
stripes = ["pv0", {first}] }} }} }} }}"""


def test_a_description_of_lvm_is_read(tmp_path: Path) -> None:
    text = GROUP.format(size=1, id="u" * 32, first=0).encode()
    (found,) = lvm.volumes(physical_volume(tmp_path, text))
    assert (found.group, found.name) == ("vg", "lv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GROUP.format(size=f'"{"x" * 100_000}"', id="u" * 32, first=0), "in the place of a number"),
        (GROUP.format(size="99999999999", id="u" * 32, first=f'"{"x" * 100}"'), "in the place of a number"),
        ('a = "' + '\\"' * 200_000, "not terminated"),
        ("a {" * 50, "nested too deeply"),
    ],
)
def test_invalid_metadata_of_lvm_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ToolError, match=said):
        lvm.volumes(physical_volume(tmp_path, text.encode()))
