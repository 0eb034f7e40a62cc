"""Analysis of the files of a system."""

import struct
from collections.abc import Mapping

import pytest

from osbuild_compose.inspecting.analysis import accounts, bootloader, packages, services, system
from osbuild_compose.inspecting.analysis.bootloader import KernelEntry, Loader
from osbuild_compose.inspecting.tree import Entry, FileType, MountedTrees, Subtree
from tests.unit.inspecting.written import Written


def test_links_are_followed_inside_the_tree() -> None:
    tree = Written(
        {
            "/usr/lib/a": "a",
            "/lib": "-> usr/lib",
            "/etc/up": "-> ../../../../usr/lib/a",
            "/etc/there": "-> /lib/a",
            "/etc/round": "-> round",
            "/etc/one": "-> two",
            "/etc/two": "-> one",
            "/etc/gone": "-> /nowhere",
        }
    )
    assert [tree.text(f"/etc/{name}") for name in ("up", "there")] == ["a", "a"]
    assert tree.text("/lib/../lib/./a") == "a"
    assert [tree.text(f"/etc/{name}") for name in ("round", "one", "gone")] == [None, None, None]
    assert tree.names("/lib") == ["a"]
    assert tree.names("/nowhere") == []
    assert tree.link("/etc/there") == "/lib/a"
    assert tree.link("/usr/lib/a") is None


def test_a_long_chain_of_links_ends() -> None:
    links = {f"/l{number}": f"-> l{number + 1}" for number in range(100)}
    assert Written({**links, "/l100": "x"}).text("/l0") is None


def test_a_file_is_read_no_further_than_the_limit() -> None:
    assert Written({"/a": "x" * 1000}).read("/a", 10) == b"x" * 10


def test_mounted_trees_hide_what_is_below_them() -> None:
    root = Written({"/boot/hidden": "no", "/etc/a": "a"})
    tree = MountedTrees({"/": root, "/boot": Written({"/b": "b"}), "/boot/efi": Written({"/c": "c"})})
    assert tree.names("/boot") == ["b", "efi"]
    assert [tree.text(path) for path in ("/etc/a", "/boot/b", "/boot/efi/c")] == ["a", "b", "c"]
    below = Subtree(Written({"/sub/etc/a": "sub", "/etc/a": "top"}), "/sub")
    assert (below.text("/etc/a"), below.names("/")) == ("sub", ["etc"])


@pytest.mark.parametrize(
    ("field", "state"),
    [("", "empty"), ("!", "locked"), ("*", "locked"), ("!!", "locked"), ("!$6$a$b", "locked"), ("$y$a$b", "set")],
)
def test_states_of_passwords(field: str, state: str) -> None:
    assert accounts.password_state(field) == state


def test_users_that_can_log_in() -> None:
    tree = Written(
        {
            "/etc/passwd": "z:x:1001:100::/home/z:/bin/zsh\nroot:x:0:0::/root:/bin/bash\nd:x:1:1::/:/sbin/nologin\n"
            "broken\nnumber:x:a:b::/:/bin/sh\nold:abcdefghijklm:5:5::/:\n",
            "/etc/shadow": "root:$6$x:1::::::\nz:!:1::::::\n",
            "/etc/group": "users:x:100:\nwheel:x:10:z,root\n",
        }
    )
    found = [(user.name, user.groups, user.password, user.shell) for user in accounts.users(tree)]
    assert found == [
        ("root", ("0", "wheel"), "set", "/bin/bash"),
        ("old", ("5",), "set", "/bin/sh"),
        ("z", ("users", "wheel"), "locked", "/bin/zsh"),
    ]


def test_services_and_targets() -> None:
    tree = Written(
        {
            "/etc/systemd/system/multi-user.target.wants/a.service": "-> /usr/lib/systemd/system/a.service",
            "/etc/systemd/system/timers.target.requires/a.service": "-> x",
            "/etc/systemd/system/m.service": "-> /dev/null",
            "/etc/systemd/system/own.service": "[Unit]",
            "/lib/systemd/system/default.target": "-> graphical.target",
            "/etc/systemd/system/default.target": "-> /lib/systemd/system/multi-user.target",
        }
    )
    found = services.services(tree)
    assert (found.default_target, found.masked) == ("multi-user.target", ("m.service",))
    assert [(one.unit, one.wanted_by) for one in found.enabled] == [
        ("a.service", ("multi-user.target", "timers.target"))
    ]


def test_dpkg_status() -> None:
    text = (
        "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nDescription: x\n Package: no\n\n"
        "Package: b\nStatus: install ok half-configured\nVersion: 1\n\n\nPackage: c\nVersion: 2\n"
    )
    assert [(one.name, one.version) for one in packages.dpkg_status(text)] == [("a", "1"), ("c", "2")]


def test_os_release() -> None:
    tree = Written({"/usr/lib/os-release": '# x\nID=a\nNAME="A \\"B\\""\nX=\'c d\'\nBAD="\nlower=1\n'})
    assert system.os_release(tree) == {"ID": "a", "NAME": 'A "B"', "X": "c d", "BAD": '"'}


def test_what_kernels_have_drivers_for() -> None:
    tree = Written(
        {
            "/lib": "-> usr/lib",
            "/usr/lib/modules/1-cloud/kernel/drivers/virtio_blk.ko.xz": "",
            "/usr/lib/modules/1-cloud/modules.builtin": "kernel/drivers/ata/ahci.ko\n",
            "/usr/lib/modules/2/kernel/drivers/usb/storage/usb-storage.ko": "",
            "/usr/lib/modules/2/modules.builtin": "kernel/drivers/ata/ahci.ko\n",
            "/boot/vmlinuz-2": "",
            "/boot/vmlinuz-3": "",
        }
    )
    assert system.kernels(tree) == (
        system.Kernel("1-cloud", None, system.Drivers.VIRTUAL),
        system.Kernel("2", "/boot/vmlinuz-2", system.Drivers.HARDWARE),
        system.Kernel("3", "/boot/vmlinuz-3", None),
    )


def test_invalid_embedded_documents_are_ignored() -> None:
    top = "/usr/lib/osbuild-compose"
    deep = "[" * 100_000
    assert system.provenance(Written({f"{top}/build.json": deep, f"{top}/blueprint.json": "[]"})) is None
    found = system.provenance(Written({f"{top}/build.json": '{"name": "a"}', f"{top}/lock.json": "x"}))
    assert found == system.Provenance({"name": "a"}, None, None)


def test_the_menu_of_grub() -> None:
    text = """
menuentry 'It'\\''s "one"' --class a $menuentry_id_option 'x' {
\tlinux\t/vmlinuz root=UUID=1 ro   quiet
\tinitrd\t/initrd.img /more.img
}
submenu 'More' {
  menuentry "two" {
    linuxefi /vmlinuz-2 'unfinished
  }
}
menuentry 'no kernel' { reboot; }
"""
    assert bootloader.grub_menu(text, "g") == [
        KernelEntry('It\'s "one"', "/vmlinuz", ("/initrd.img", "/more.img"), "root=UUID=1 ro quiet", "g"),
        KernelEntry("two", "/vmlinuz-2", (), "'unfinished", "g"),
    ]


def test_entries_of_the_boot_loader_specification() -> None:
    tree = Written(
        {
            "/boot/loader/entries/a.conf": "title A (1)\nlinux /vmlinuz\ninitrd /i $tuned_initrd\n"
            "options $kernelopts $x\n",
            "/boot/loader/entries/b.conf": "# none\n",
            "/boot/grub2/grubenv": "# GRUB Environment Block\nkernelopts=root=UUID=1 ro\n####",
        }
    )
    found = bootloader.entries(tree, ("/boot",))
    assert [(one.title, one.kernel, one.initramfs, one.options) for one in found] == [
        ("A (1)", "/vmlinuz", ("/i",), "root=UUID=1 ro $x"),
        ("b", None, (), ""),
    ]


def executable(sections: Mapping[str, bytes], signed: bool = False) -> bytes:
    """A UEFI program: its headers and sections."""
    headers, contents = b"", b""
    start = 64 + 24 + 240 + 40 * len(sections)
    for name, content in sections.items():
        place = start + len(contents)
        headers += struct.pack("<8sIIII16x", name.encode(), len(content), 0, len(content), place)
        contents += content
    optional = struct.pack("<H106xI", 0x20B, 16) + bytes(36) + struct.pack("<I", 100 if signed else 0) + bytes(88)
    coff = struct.pack("<HH12xHH", 0x8664, len(sections), 240, 0)
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + coff + optional + headers + contents


SBAT = b"sbat,1,SBAT Version,sbat,1,https://x\n"


@pytest.mark.parametrize(
    ("sections", "kind", "version"),
    [
        ({".sbat": SBAT + b"shim,4,UEFI shim,shim,15.8,https://x\n"}, "shim", "15.8"),
        ({".sbat": SBAT + b"grub,5,FSF,grub,2.12,u\ngrub.debian,5,Debian,grub2,2.12-9,u\n"}, "grub", "2.12-9"),
        ({".sdmagic": b"#### LoaderInfo: systemd-boot 257.8 ####\0"}, "systemd-boot", "257.8"),
        ({".linux": b"k", ".uname": b"6.1\0", ".cmdline": b"ro\0", ".osrel": b'PRETTY_NAME="A"\n'}, "uki", "6.1"),
        ({".text": b"x"}, "other", None),
    ],
)
def test_programs_for_uefi(sections: Mapping[str, bytes], kind: str, version: str | None) -> None:
    found = bootloader.efi_program(executable(sections, signed=True))
    assert found is not None
    assert (found.type, found.version, found.signed) == (kind, version, True)
    unsigned = bootloader.efi_program(executable(sections))
    assert unsigned is not None
    assert not unsigned.signed


def test_other_files_and_truncated_programs_are_no_programs() -> None:
    whole = executable({".sbat": SBAT + b"shim,4,x,shim,15.8,u\n"})
    for content in (b"", b"MZ", b"MZ" + b"\xff" * 100, b"\x7fELF" + bytes(100), whole[:200]):
        assert bootloader.efi_program(content) is None


def test_unified_kernel_images_are_entries() -> None:
    sections = {".linux": b"k", ".cmdline": b"root=x ro\0", ".osrel": b'NAME=a\nPRETTY_NAME="The A"\n'}
    loaders, entries = bootloader.efi(Written({"/efi/efi/linux/a.EFI": executable(sections)}), "/efi")
    path = "/efi/efi/linux/a.EFI"
    assert loaders == [Loader("uki", "uefi", path, None, False)]
    assert entries == [KernelEntry("The A", path, (), "root=x ro", path)]


def test_the_largest_directories_count_hard_links_once() -> None:
    entries = {
        "/a/b/c/d/one": Entry(FileType.FILE, 100, handle=1),
        "/a/two": Entry(FileType.FILE, 100, handle=1),
        "/e/three": Entry(FileType.FILE, 70, handle=2),
        "/e/four": Entry(FileType.FILE, 70),
        "/top": Entry(FileType.FILE, 1000),
    }
    tree = Written({})
    tree.entries.update(entries)
    found = [(one.path, one.size, one.files) for one in system.largest_directories(tree)]
    assert found == [("/e", 140, 2), ("/a", 100, 2), ("/a/b", 100, 1), ("/a/b/c", 100, 1)]
