"""Errors in `disk` and `formats`, which are reported before anything is built."""

import re

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.document import reader
from osbuild_compose.errors import ComposeError

UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
GROUP = "{volume_group: a, logical_volumes: [{name: a}]}"
LUKS = "luks: {passphrase_variable: HOME}"  # anything that is there
SEALED = "{mount: /, verity: true}"
KEPT = f"disk: {{bootloader: systemd-boot, partitions: [{SEALED}, {{mount: /var}}]}}"
VOLATILE = (
    f"disk: {{bootloader: systemd-boot, partitions: [{SEALED}]}}\nkernel: {{append: quiet systemd.volatile=state}}"
)
HEAD = "name: web\ndistro: debian-12\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("disk: {partitions: [{mount: /run/a}]}", "3:21.*the system creates the contents of /run"),
        ("disk: {partitions: [{mount: /etc}]}", "/etc/fstab says what to mount"),
        ("disk: {partitions: [{mount: /lib/modules}]}", "/lib is a symbolic link to /usr/lib"),
        ("disk: {partitions: [{mount: /boot/efi, file_system: ext4}]}", "firmware cannot read ext4"),
        ("disk: {partitions: [{type: esp}]}", "GRUB is installed on .* not mounted"),
        ("disk: {partitions: [{mount: /, file_system: squashfs}]}", "the kernel finds / by its UUID"),
        ("disk: {partitions: [{mount: /boot, file_system: squashfs}]}", "GRUB finds /boot by its UUID"),
        ("disk: {partitions: [{mount: /boot, file_system: erofs}]}", "GRUB does not read erofs"),
        (
            "disk: {partitions: [{mount: /a, file_system: xfs, size: 1 MiB}]}",
            "3:57.*the minimum for xfs is 300 MiB: 299",
        ),
        ("formats: [{format: btrfs, size: 9 MiB}]", "3:33.*the minimum for btrfs is 256 MiB"),
        ("disk: {size: 3 TiB, table: dos}", "of 2 TiB at most"),
        ("disk: {table: dos, partitions: [{mount: /a, name: b}]}", "DOS table have no names"),
        (
            f"disk: {{table: dos, partitions: [{{mount: /a, partition_uuid: {UUID}}}]}}",
            "in a DOS table the UUID of a partition follows",
        ),
        (
            "disk: {table: dos, partitions: [{mount: /a, bootable: true}, {mount: /, bootable: true}]}",
            "3:83.*two partitions are marked as bootable",
        ),
        (
            f"disk: {{partitions: [{{mount: /a, uuid: {UUID}}}, {{mount: /b, uuid: {UUID}}}]}}",
            "two file systems have the UUID",
        ),
        (
            "disk: {partitions: [{subvolumes: [{name: a, mount: /a}, {name: a, mount: /}]}]}",
            "two subvolumes are called a",
        ),
        ("formats: [{format: oci-archive, exposed_ports: [80/foo]}]", "is not a port"),
        ("formats: [{format: oci-archive, volumes: [data]}]", "is not an absolute path"),
        ("disk: {partitions: [{mount: home}]}", "must be an absolute path"),
        (
            "disk: {size: 1 GiB, partitions: [{mount: /home, size: 2 GiB}]}",
            "3:14.* too small .* by 1156 MiB: .*, home 2048 MiB",
        ),
        (
            "disk: {size: 1 GiB, partitions: [{mount: /home, minimum: 1 GiB}]}",
            "too small for its partitions, by 132 MiB",
        ),
        ("disk: {partitions: [{mount: /home}, {mount: /home}]}", "3:37.*two file systems are mounted at /home"),
        (
            "disk: {bootloader: none, partitions: [{mount: /a, start: 1 MiB, size: 9 MiB}, {mount: /b, start: 5 MiB}]}",
            "3:98: it overlaps a, which ends at 10485760 bytes",
        ),
        ("disk: {table: dos, partitions: [{mount: /a}, {mount: /b}, {mount: /c}, {mount: /d}]}", "at most, not 5"),
        ("disk: {table: dos, partitions: [{type: bios-boot, size: 1 MiB}]}", "no BIOS boot partition"),
        ("disk: {sector_size: 4096, firmware: [bios]}", "BIOS cannot boot from a disk with 4096-byte sectors"),
        (
            "disk: {sector_size: 4096, partitions: [{mount: /a, start: 1073742336}]}",
            "not a multiple of a sector's 4096",
        ),
        ("disk: {partitions: [{type: swap}]}", "swap space has a `size` and no `mount`"),
        ("disk: {partitions: [{mount: /, file_system: vfat}]}", "vfat cannot hold a system"),
        ("disk: {partitions: [{file_system: ext4, subvolumes: [{name: a, mount: /a}]}]}", "ext4 has no subvolumes"),
        ("disk: {partitions: [{mount: /b, subvolumes: [{name: a, mount: /a}]}]}", "top of a btrfs with subvolumes"),
        ("disk: {partitions: [{mount: /a, compression: zstd}]}", "ext4 cannot have `compression` zstd"),
        ("disk: {partitions: [{mount: /a, file_system: erofs, compression: xz}]}", "it has: lz4, lz4hc"),
        ("disk: {partitions: [{mount: /a, file_system: xfs, label: much-too-long}]}", "xfs has 12 characters at most"),
        ("disk: {partitions: [{mount: /a, uuid: 1234-ABCD}]}", "1234-ABCD does not fit ext4"),
        ("disk: {partitions: [{mount: /a, size: 1 GiB, grow: true}]}", "`size` and `grow` cannot be combined"),
        ("disk: {partitions: [{mount: /a, size: 5 XiB}]}", "is not a unit"),
        ("disk: {partitions: [{mount: /a, file_system: xfs, verity: true}]}", "xfs cannot be protected by `verity`"),
        ("disk: {partitions: [{verity: true}]}", "there is no `mount`"),
        ("disk: {partitions: [{mount: /boot, verity: true}]}", "reads /boot without checking hashes"),
        ("disk: {partitions: [{mount: /ä, verity: true}]}", "can have only letters, digits"),
        ("disk: {partitions: [{mount: /a, verity: true, grow: true}]}", "cannot grow"),
        ("disk: {table: dos, partitions: [{mount: /a, verity: true}]}", "has no partitions of hashes"),
        (
            "disk: {partitions: [{mount: /a/b, verity: true}, {mount: /a-b, verity: true}]}",
            "would both be /dev/mapper/a-b",
        ),
        (
            "disk: {bootloader: none, partitions: [{mount: /, verity: true}, {mount: /root, verity: true}]}",
            "would both be /dev/mapper/root",
        ),
        ("disk: {partitions: [{mount: /usr, verity: true}]}", "/usr cannot have `verity` with GRUB"),
        (
            f"disk: {{bootloader: none, partitions: [{{mount: /, verity: true, partition_uuid: {UUID}}}]}}",
            "follows from its root hash",
        ),
        (f"disk: {{bootloader: systemd-boot, partitions: [{SEALED}]}}", "3:.*nothing can write to /var"),
        (f"first_boot: [{{name: a, content: b}}]\n{VOLATILE}", "3:.*the system forgets that it was booted before"),
        (f"kernel: {{append: systemd.volatile=overlay}}\n{KEPT}", "3:.*services do not start with .*=overlay"),
        (f"cloud_init: {{}}\n{VOLATILE}", "3:.*cloud-init writes to /etc"),
        (f"users: [{{name: a, force_password_reset: true}}]\n{VOLATILE}", "3:.*passwords cannot be changed"),
        ("disk: {partitions: [{volume_group: a}]}", "3:36.*without `logical_volumes`"),
        ("disk: {partitions: [{logical_volumes: [{name: a}]}]}", "`logical_volumes` without `volume_group`"),
        ("disk: {partitions: [{mount: /a, volume_group: a, logical_volumes: [{name: a}]}]}", "has no `mount`"),
        ("disk: {partitions: [{volume_group: a, logical_volumes: [{name: a}, {name: a}]}]}", "volumes are called a"),
        (f"disk: {{partitions: [{GROUP}, {GROUP}]}}", "two volume groups are called a"),
        ("disk: {partitions: [{volume_group: a, logical_volumes: [{name: b, mount: /}]}]}", "3:74.*files cannot be"),
        ("disk: {partitions: [{volume_group: a, logical_volumes: [{name: b, mount: /boot}]}]}", "GRUB's files"),
        ("disk: {partitions: [{volume_group: a, logical_volumes: [{name: b, mount: /efi}]}]}", "firmware cannot read"),
        ("disk: {partitions: [{volume_group: a, logical_volumes: [{name: b, size: 5 XiB}]}]}", "is not a unit"),
        (
            "disk: {partitions: [{volume_group: a, size: 9MiB, logical_volumes: [{name: b, size: 5 MiB}, {name: c}]}]}",
            "the minimum for logical volumes is 13 MiB: 4 MiB too little",
        ),
        (
            "disk: {size: 1 GiB, partitions: [{volume_group: a, logical_volumes: [{name: b, size: 1 GiB}]}]}",
            "by 133 MiB",
        ),
        ("disk: {partitions: [{volume_group: a, logical_volumes: [{name: b, file_system: swap}]}]}", "has a `size`"),
        ("disk: {partitions: [{mount: /a, luks: {}}]}", "3:39.*must say where the passphrase is"),
        ("disk: {partitions: [{mount: /a, luks: {passphrase_variable: NOT_THERE}}]}", "3:61.*no variable NOT_THERE"),
        ("disk: {partitions: [{mount: /a, luks: {passphrase_file: not-there}}]}", "3:57.*cannot read .*not-there"),
        (f"disk: {{partitions: [{{mount: /, {LUKS}}}]}}", "GRUB's files cannot be encrypted"),
        (f"disk: {{partitions: [{{mount: /boot, {LUKS}}}]}}", "GRUB's files cannot be encrypted"),
        (
            f"disk: {{partitions: [{{subvolumes: [{{name: a, mount: /}}], {LUKS}}}]}}",
            "GRUB's files cannot be encrypted",
        ),
        (
            f"disk: {{bootloader: systemd-boot, partitions: [{{mount: /boot, file_system: vfat, {LUKS}}}]}}",
            "firmware cannot read",
        ),
        (f"disk: {{partitions: [{{type: C12A7328-F81F-11D2-BA4B-00A0C93EC93B, {LUKS}}}]}}", "firmware cannot read"),
        (f"disk: {{partitions: [{{mount: /a, verity: true, {LUKS}}}]}}", "cannot be combined"),
        (f"disk: {{partitions: [{{type: esp, {LUKS}}}]}}", "firmware cannot read"),
        (f"disk: {{partitions: [{{size: 1 GiB, {LUKS}}}]}}", "there is nothing to encrypt"),
        (f"disk: {{partitions: [{{type: linux, size: 1 GiB, {LUKS}}}]}}", "there is nothing to encrypt"),
        (f"disk: {{partitions: [{{mount: /a/b, {LUKS}}}, {{mount: /a-b, {LUKS}}}]}}", "both be /dev/mapper/luks-a-b"),
        ("formats: [{format: raw, compression: zstd}]", "raw has no `compression`"),
        ("formats: [{format: raw}, raw]", "`formats` has raw twice"),
        ("formats: [raw, {format: raw}]", "`formats` has raw twice"),
    ],
)
def test_each_problem_is_reported_at_its_value(text: str, message: str) -> None:
    with pytest.raises(ComposeError) as caught:
        load.check(reader.parse(f"{HEAD}{text}\n".encode(), "b.yaml"), {"debian-12"})
    reported = [str(error) for error in caught.value.each()]
    assert len(reported) == 1, reported
    assert reported[0].startswith("b.yaml:3:")
    assert re.search(message, reported[0]), reported[0]


@pytest.mark.parametrize("loader", ["systemd-boot", "none"])
def test_an_iso_is_started_by_grub(loader: str) -> None:
    text = f"{HEAD}formats: [iso]\ndisk: {{bootloader: {loader}}}\n"
    with pytest.raises(ComposeError, match=r"4:20.*an iso is started by GRUB"):
        load.check(reader.parse(text.encode(), "b.yaml"), {"debian-12"})


def test_a_vhd_has_2040_gib_at_most() -> None:
    with pytest.raises(ComposeError, match=r"4:14.*vpc takes disks of 2040 GiB at most"):
        load.check(reader.parse(f"{HEAD}formats: [vpc]\ndisk: {{size: 3 TiB}}\n".encode(), "b.yaml"), {"debian-12"})


def test_names_differ_by_case_and_uuids_do_not() -> None:
    groups = "{volume_group: a, logical_volumes: [{name: a}]}, {volume_group: A, logical_volumes: [{name: a}]}"
    load.check(reader.parse(f"{HEAD}disk: {{partitions: [{groups}]}}\n".encode(), "b.yaml"), {"debian-12"})
    uuids = f"{{mount: /a, uuid: {UUID}}}, {{mount: /b, uuid: {UUID.upper()}}}"
    with pytest.raises(ComposeError, match=f"two file systems have the UUID {UUID}"):
        load.check(reader.parse(f"{HEAD}disk: {{partitions: [{uuids}]}}\n".encode(), "b.yaml"), {"debian-12"})
