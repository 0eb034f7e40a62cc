"""From a blueprint's disk to all its partitions."""

import json
from typing import Any

import pytest
from stagelib.disk.layout import from_options

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.disk.image_options import passphrases
from osbuild_compose.disk.model import Origin
from osbuild_compose.errors import ComposeError
from tests.unit.compile.compiling import blueprint, check_options, compiled, options, request
from tests.unit.compile.compiling import files as written_files

HEAD = "name: web\ndistro: debian-12\n"
MIB = 1 << 20


def disk(text: str, *formats: Format) -> dict[str, Any]:
    document = compiled(blueprint(HEAD + text), *formats)
    check_options(document)
    found: dict[str, Any] = document
    return found


def partitions(document: dict[str, Any]) -> list[tuple[str, str | None]]:
    made = document["assembler"]["options"]["disk"]["partitions"]
    return [(item["type"], item.get("filesystem", {}).get("mountpoint")) for item in made]


def test_the_default_boots_by_bios_and_uefi() -> None:
    document = disk("")
    assert partitions(document) == [("bios-boot", None), ("esp", "/boot/efi"), ("root-x86-64", "/")]
    assert document["assembler"]["options"]["disk"]["bios_grub"] is True
    assert {"grub-pc-bin", "grub-efi-amd64-signed", "shim-signed"} <= set(
        options(document, "org.osbuild-compose.apt")[0]["packages"]
    )
    assert options(document, "org.osbuild-compose.grub")[0]["efi"] == {"vendor": "debian", "directory": "/boot/efi"}


def test_with_one_firmware_only_what_it_needs() -> None:
    uefi = disk("disk: {firmware: [uefi]}\n")
    assert partitions(uefi) == [("esp", "/boot/efi"), ("root-x86-64", "/")]
    assert "bios_grub" not in uefi["assembler"]["options"]["disk"]
    assert "grub-pc-bin" not in options(uefi, "org.osbuild-compose.apt")[0]["packages"]
    none = disk("disk: {bootloader: none}\n")
    assert partitions(none) == [("root-x86-64", "/")]
    assert options(none, "org.osbuild-compose.grub") == []


@pytest.mark.parametrize("kind", ["esp", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"])
def test_a_type_is_the_same_by_its_name_and_by_its_number(kind: str) -> None:
    made = partitions(disk(f"disk: {{firmware: [uefi], partitions: [{{mount: /boot/efi, type: {kind}}}]}}\n"))
    assert made == [("esp", "/boot/efi"), ("root-x86-64", "/")]


def test_osbuilds_assembler_gets_the_numbers_of_a_dos_table() -> None:
    text = "disk: {size: 2 GiB, table: dos, partitions: [{type: lvm, size: 1 GiB}, {mount: /, file_system: ext4}]}\n"
    document = compiled(blueprint(HEAD + text), Format.RAW)
    assert [item["type"] for item in document["assembler"]["options"]["partitions"]] == ["8e", "83"]


def loader(document: dict[str, Any]) -> dict[str, Any]:
    (found,) = options(document, "org.osbuild-compose.systemd-boot")
    return found


def test_systemd_boot_starts_by_uefi_with_the_kernels_on_its_partition() -> None:
    document = disk("disk: {bootloader: systemd-boot}\nkernel: {append: quiet}\n")
    assert partitions(document) == [("esp", "/boot/efi"), ("root-x86-64", "/")]
    made = document["assembler"]["options"]["disk"]["partitions"]
    assert made[0]["size"] == 512 * MIB
    wanted = {"root_fs_uuid": made[1]["filesystem"]["uuid"], "kernel_opts": "quiet", "uki": False, "loader": True}
    assert loader(document) == {**wanted, "esp": "/boot/efi", "boot": "/boot/efi"}
    packages = set(options(document, "org.osbuild-compose.apt")[0]["packages"])
    assert {"systemd-boot", "systemd-boot-efi"} <= packages
    assert not {name for name in packages if "grub" in name or "shim" in name or name == "binutils"}
    assert options(document, "org.osbuild-compose.grub") == []


def test_kernels_go_to_an_xbootldr_partition_if_firmware_can_read_it() -> None:
    fat = disk("disk: {bootloader: systemd-boot, partitions: [{mount: /boot, file_system: vfat, size: 1 GiB}]}\n")
    assert partitions(fat)[:2] == [("esp", "/efi"), ("xbootldr", "/boot")]
    assert (loader(fat)["esp"], loader(fat)["boot"]) == ("/efi", "/boot")
    unified = "disk: {bootloader: none, uki: true, partitions: [{mount: /boot, file_system: vfat, size: 1 GiB}]}\n"
    assert loader(disk(unified))["boot"] == "/efi"
    other = disk("disk: {bootloader: systemd-boot, partitions: [{mount: /efi, type: esp}, {mount: /boot}]}\n")
    assert partitions(other)[:2] == [("esp", "/efi"), ("linux", "/boot")]
    assert (loader(other)["esp"], loader(other)["boot"]) == ("/efi", "/efi")


@pytest.mark.parametrize(("release", "tool"), [("debian-12", "binutils"), ("debian-13", "systemd-ukify")])
def test_firmware_starts_a_unified_kernel_image(release: str, tool: str) -> None:
    text = f"name: web\ndistro: {release}\ndisk: {{bootloader: none, uki: true}}\n"
    document = compiled(blueprint(text))
    check_options(document)
    assert partitions(document) == [("esp", "/boot/efi"), ("root-x86-64", "/")]
    assert (loader(document)["uki"], loader(document)["loader"]) == (True, False)
    packages = set(options(document, "org.osbuild-compose.apt")[0]["packages"])
    assert {"systemd-boot-efi", tool} <= packages
    assert "systemd-boot" not in packages


def test_fedora_has_systemd_boot_and_its_relatives_have_not() -> None:
    rest = "disk: {bootloader: systemd-boot, uki: true}\n"
    document = compiled(blueprint(f"name: web\ndistro: fedora-43\n{rest}"))
    check_options(document)
    assert {"systemd-boot-unsigned", "systemd-ukify"} <= set(options(document, "org.osbuild.dnf")[0]["packages"])
    assert loader(document)["uki"] is True
    with pytest.raises(ComposeError) as refused:
        compiled(blueprint(f"name: web\ndistro: centos-10\n{rest}"))
    assert "its repositories have no systemd-boot" in str(refused.value)


def test_osbuilds_assembler_makes_what_it_can() -> None:
    plain = disk("disk: {size: 4 GiB, table: dos}\n")["assembler"]
    assert plain["name"] == "org.osbuild.qemu"
    assert set(plain["options"]) == {"format", "filename", "ptuuid", "root_fs_uuid", "size"}
    gpt = disk("disk: {size: 4 GiB}\n")["assembler"]
    assert gpt["name"] == "org.osbuild.qemu"
    assert (gpt["options"]["pttype"], gpt["options"]["bootloader"]) == ("gpt", {"type": "grub2"})
    assert [item.get("size") for item in gpt["options"]["partitions"]] == [2048, 128 * 2048, None]
    many = disk("disk: {size: 4 GiB}\n", Format.QCOW2, Format.VMDK)["assembler"]
    assert many["name"] == "org.osbuild-compose.image"
    assert [item["filename"] for item in many["options"]["outputs"]] == ["web.qcow2", "web.vmdk"]
    swap = disk("disk: {size: 4 GiB, partitions: [{type: swap, size: 1 GiB}]}\n")["assembler"]
    assert swap["name"] == "org.osbuild-compose.image"


def test_a_boot_partition_of_its_own_is_known_to_the_boot_loader_and_to_fstab() -> None:
    home = "{mount: /home, file_system: btrfs, options: noatime}"
    document = disk(f"disk: {{partitions: [{{mount: /boot}}, {home}, {{type: swap, size: 8 MiB}}]}}\n")
    fstab = {entry["path"]: entry for entry in options(document, "org.osbuild.fstab")[0]["filesystems"]}
    assert list(fstab) == ["/", "/boot", "/boot/efi", "/home", "none"]
    assert fstab["/home"]["options"] == "noatime"
    assert options(document, "org.osbuild-compose.grub")[0]["boot_fs_uuid"] == fstab["/boot"]["uuid"]
    assert "btrfs-progs" in options(document, "org.osbuild-compose.apt")[0]["packages"]


def test_a_root_subvolume_is_named_to_kernel_and_boot_loader() -> None:
    document = disk('disk: {partitions: [{subvolumes: [{name: "@", mount: /}, {name: "@home", mount: /home}]}]}\n')
    grub = options(document, "org.osbuild-compose.grub")[0]
    assert (grub["boot_path"], grub["kernel_opts"]) == ("/@/boot", "rootflags=subvol=/@")
    entries = options(document, "org.osbuild.fstab")[0]["filesystems"]
    assert [entry["options"] for entry in entries if entry["vfs_type"] == "btrfs"] == ["subvol=/@", "subvol=/@home"]


def test_hashes_follow_what_they_protect_and_are_in_veritytab() -> None:
    srv = "{mount: /srv/www, file_system: squashfs, verity: true}"
    document = disk(f"disk: {{partitions: [{srv}]}}\n")
    made = document["assembler"]["options"]["disk"]
    data, hashes = made["partitions"][2:4]
    assert (hashes["type"], hashes["name"], hashes["hashes"]["of"]) == ("linux", "srv-www-verity", 3)
    assert hashes["hashes"]["filename"] == "web.srv-www.roothash"
    assert made["root_hash_files"] == ["/etc/veritytab"]
    files = [item for stage in options(document, "org.osbuild-compose.files") for item in stage["files"]]
    veritytab = next(item["content"] for item in files if item["path"] == "/etc/veritytab")
    assert veritytab == f"srv-www PARTUUID={data['uuid']} PARTUUID={hashes['uuid']} @roothash:/srv/www@\n"
    entries = {entry["path"]: entry for entry in options(document, "org.osbuild.fstab")[0]["filesystems"]}
    entry = entries["/srv/www"]
    assert (entry["device"], entry["options"], entry["passno"]) == ("/dev/mapper/srv-www", "ro", 0)
    assert "libcryptsetup12" in options(document, "org.osbuild-compose.apt")[0]["packages"]


def test_a_protected_root_is_called_after_its_hash() -> None:
    document = disk("disk: {bootloader: none, partitions: [{mount: /, verity: true}]}\n")
    made = document["assembler"]["options"]["disk"]
    assert [item["type"] for item in made["partitions"]] == ["root-x86-64", "root-x86-64-verity"]
    assert not any("uuid" in item for item in made["partitions"])  # halves of the root hash
    assert "grow" not in made["partitions"][0]
    assert made["partitions"][1]["hashes"]["filename"] == "web.roothash"
    assert "root_hash_files" not in made
    usr = disk("disk: {bootloader: none, partitions: [{mount: /usr, verity: true}]}\n")
    assert [item[0] for item in partitions(usr)] == ["usr-x86-64", "usr-x86-64-verity", "root-x86-64"]
    fedora = compiled(blueprint("name: web\ndistro: fedora-43\n"))
    assert fedora["assembler"]["options"]["disk"]["partitions"]


@pytest.mark.parametrize(
    ("how", "files"),
    [
        ("bootloader: systemd-boot", "loader/entries/*.conf"),
        ("bootloader: systemd-boot, uki: true", "EFI/Linux/*.efi"),
        ("bootloader: none, uki: true", "EFI/BOOT/BOOT*.EFI"),
    ],
)
def test_the_root_hash_of_a_protected_root_is_on_the_kernel_command_line(how: str, files: str) -> None:
    rest = "initramfs: {drivers: [nbd], dracut_modules: [nbd]}\nkernel: {append: quiet}\npackages: [openssh-server]\n"
    items = "[{mount: /, file_system: erofs, verity: true}, {mount: /var}]"
    document = compiled(
        blueprint(f"name: web\ndistro: debian-13\ndisk: {{{how}, partitions: {items}}}\n{rest}"), Format.RAW
    )
    check_options(document)
    made = loader(document)
    assert (made["root_device"], made["kernel_opts"]) == ("/dev/mapper/root", "roothash=@roothash:/@ quiet")
    assert "root_fs_uuid" not in made
    assert document["assembler"]["options"]["disk"]["root_hash_files"] == [f"/boot/efi/{files}"]
    packages = options(document, "org.osbuild-compose.apt")[0]["packages"]
    assert {"dracut", "systemd-cryptsetup"} <= set(packages)
    assert "initramfs-tools" not in packages
    written = written_files(document)
    assert 'add_dracutmodules+=" systemd-veritysetup "' in written["/etc/dracut.conf.d/50-verity.conf"]["content"]
    assert 'add_drivers+=" nbd "' in written["/etc/dracut.conf.d/90-compose.conf"]["content"]
    assert not any(path.startswith(("/etc/initramfs-tools", "/usr/share/initramfs-tools")) for path in written)
    assert "dracut --force" in options(document, "org.osbuild.script")[0]["script"]
    assert "/var/lib/" in written["/etc/ssh/sshd_config.d/20-compose-host-keys.conf"]["content"]


def test_a_protected_usr_leaves_the_root_as_it_is() -> None:
    items = "[{mount: /usr, file_system: squashfs, verity: true}]"
    text = f"name: web\ndistro: debian-13\ndisk: {{bootloader: systemd-boot, uki: true, partitions: {items}}}\n"
    document = compiled(blueprint(f"{text}packages: [openssh-server]\n"), Format.RAW)
    check_options(document)
    made = loader(document)
    assert made["kernel_opts"] == "usrhash=@roothash:/usr@"
    assert "root_fs_uuid" in made
    files = document["assembler"]["options"]["disk"]["root_hash_files"]
    assert files == ["/boot/efi/EFI/Linux/*.efi", "/etc/kernel/cmdline"]
    assert "/etc/ssh/sshd_config.d/20-compose-host-keys.conf" not in written_files(document)
    entries = {entry["path"]: entry for entry in options(document, "org.osbuild.fstab")[0]["filesystems"]}
    assert entries["/usr"]["device"] == "/dev/mapper/usr"


def test_what_cannot_open_a_protected_root_is_refused() -> None:
    items = "[{mount: /, verity: true}, {mount: /var}]"
    text = f"disk: {{bootloader: systemd-boot, partitions: {items}}}\n"
    with pytest.raises(ComposeError, match="no package is configured to set up verity of / or /usr at boot"):
        disk(text)
    with pytest.raises(ComposeError, match="its live systems need initramfs-tools"):
        compiled(blueprint(f"name: web\ndistro: debian-13\n{text}"), Format.ISO)


GROUP = """
disk:
  size: 20 GiB
  partitions:
    - {mount: /boot, size: 1 GiB}
    - volume_group: the-system
      logical_volumes:
        - {name: root, mount: /, file_system: xfs}
        - {name: swap, file_system: swap, size: 1 GiB}
        - {name: spare, size: 8 MiB}
"""


def test_logical_volumes_take_the_place_of_partitions() -> None:
    document = disk(GROUP)
    made = document["assembler"]["options"]["disk"]["partitions"]
    assert [item["type"] for item in made] == ["bios-boot", "esp", "xbootldr", "lvm"]
    assert made[-1]["grow"] is True
    group = made[-1]["lvm"]
    assert [volume["name"] for volume in group["volumes"]] == ["root", "swap", "spare"]
    assert [volume.get("grow") for volume in group["volumes"]] == [True, None, None]
    assert len({group["uuid"], group["pv_uuid"], *(volume["uuid"] for volume in group["volumes"])}) == 5
    entries = {entry["path"]: entry for entry in options(document, "org.osbuild.fstab")[0]["filesystems"]}
    assert entries["/"]["device"] == "/dev/mapper/the--system-root"
    assert entries["none"]["device"] == "/dev/mapper/the--system-swap"
    assert {"lvm2", "xfsprogs"} <= set(options(document, "org.osbuild-compose.apt")[0]["packages"])
    assert options(document, "org.osbuild-compose.grub")[0]["root_fs_uuid"] == group["volumes"][0]["filesystem"]["uuid"]


def test_dracut_activates_the_logical_volume_with_the_root() -> None:
    document = compiled(blueprint("name: web\ndistro: fedora-43\n" + GROUP))
    assert "rd.lvm.lv=the-system/root" in options(document, "org.osbuild.grub2")[0]["kernel_opts"]
    assert "lvm2" in options(document, "org.osbuild.dnf")[0]["packages"]


def test_a_sector_size_is_a_whole_number_however_it_is_written() -> None:
    made = disk("disk: {sector_size: 4096.0}\n")["assembler"]["options"]["disk"]["sector_size"]
    assert (made, type(made)) == (4096, int)


@pytest.mark.parametrize(
    "item", ["{type: swap, size: 1 GiB, %s}", "{volume_group: g, %s, logical_volumes: [{name: a}]}"]
)
def test_the_assembler_takes_what_is_encrypted_without_being_mounted(item: str) -> None:
    document = disk("disk: {partitions: [" + item % "luks: {passphrase_variable: HOME}" + "]}\n")
    made = from_options(document["assembler"]["options"]["disk"])
    assert [part.luks is not None for part in made.partitions] == [False, False, True, False]


def test_passphrases_are_named_in_the_pipeline_and_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISK", "correct horse")
    one = "{mount: /srv, luks: {passphrase_variable: DISK}}"
    group = "{volume_group: g, luks: {passphrase_variable: DISK}, logical_volumes: [{name: root, mount: /}]}"
    text = f"disk: {{partitions: [{{mount: /boot}}, {one}, {group}]}}\n"
    document = disk(text)
    assert "correct" not in json.dumps(document)
    assert "correct" not in repr(blueprint(HEAD + text))
    layout = request(blueprint(HEAD + text)).layout
    assert passphrases(layout) == {"web/luks-srv": "correct horse", "web/luks-g": "correct horse"}
    made = document["assembler"]["options"]["disk"]["partitions"][3:]
    assert [item["luks"]["passphrase"] for item in made] == ["web/luks-srv", "web/luks-g"]
    files = [item for stage in options(document, "org.osbuild-compose.files") for item in stage["files"]]
    table = next(item for item in files if item["path"] == "/etc/crypttab")
    uuids = [item["luks"]["uuid"] for item in made]
    assert table["mode"] == "0600"
    assert table["content"] == f"luks-srv UUID={uuids[0]} none luks\nluks-g UUID={uuids[1]} none luks,initramfs\n"
    entries = {entry["path"]: entry for entry in options(document, "org.osbuild.fstab")[0]["filesystems"]}
    assert entries["/srv"]["device"] == "/dev/mapper/luks-srv"
    assert {"cryptsetup-initramfs", "lvm2"} <= set(options(document, "org.osbuild-compose.apt")[0]["packages"])
    assert any("update-initramfs" in stage["script"] for stage in options(document, "org.osbuild.script"))


def test_no_two_things_have_the_same_identifier() -> None:
    document = disk("disk: {partitions: [{type: swap, size: 8 MiB}, {type: swap, size: 8 MiB}, {mount: /home}]}\n")
    made = document["assembler"]["options"]["disk"]["partitions"]
    found = [item["uuid"] for item in made] + [item["filesystem"]["uuid"] for item in made if "filesystem" in item]
    assert len(set(found)) == len(found)


def test_a_squashfs_in_a_dos_table_is_found_by_its_number() -> None:
    text = f"disk: {{table: dos, uuid: {'7' * 8}-f153-4541-b6c7-0332c0dfaeac, partitions: "
    (fstab,) = options(
        disk(text + "[{mount: /, size: 1 GiB}, {mount: /srv, file_system: squashfs}]}"), "org.osbuild.fstab"
    )
    assert [item.get("device") for item in fstab["filesystems"]] == [None, "PARTUUID=77777777-02"]


def test_each_value_has_an_origin() -> None:
    text = "disk: {partitions: [{mount: /boot, size: 1 GiB}, {mount: /srv, verity: true, file_system: erofs}]}\n"
    layout = request(blueprint(HEAD + text)).layout
    bios, esp, boot, srv, hashes, root = layout.partitions
    assert [item.trail for item in layout.partitions] == [
        *(None, None),
        *(("disk", "partitions", 0), ("disk", "partitions", 1)),
        *(None, None),
    ]
    assert boot.origin("size") == Origin(("disk", "partitions", 0, "size"))
    assert boot.origin("type") == Origin(None, "mounted at /boot")
    assert boot.origin("uuid").reason == "derived from the blueprint's name"
    assert srv.origin("file_system").trail == ("disk", "partitions", 1, "file_system")
    assert (bios.origin("type").reason, esp.origin("size").reason) == (
        "GRUB needs it to start by BIOS from a GPT",
        "UEFI starts from it",
    )
    assert hashes.origin("type").reason == "dm-verity needs hashes of /srv"
    assert root.origin("grow").reason == "the root file system takes what is left of the disk"
    assert layout.origin("firmware") == Origin(None, "what the distribution boots with")
    assert layout.origin("table") == Origin(None, "default")
    bios_only = request(blueprint(f"{HEAD}disk: {{firmware: [bios]}}\n")).layout
    assert bios_only.origin("firmware") == Origin(("disk", "firmware"))


def test_a_disk_is_resolved_once() -> None:
    wanted = blueprint(f"{HEAD}disk: {{partitions: [{{mount: /home}}]}}\n")
    assert request(wanted).layout is request(wanted, Format.RAW).layout
