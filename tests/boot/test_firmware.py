"""The default disk starts by UEFI and under Secure Boot, and a disk of several file systems starts.

By BIOS the default disk starts in test_debian.py.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from osbuild_compose.boot import Firmware, Machine
from tests.boot.conftest import PATIENCE, Built
from tests.conftest import make_account

PATIENT = "systemd.default_device_timeout_sec=600"  # a busy machine emulates slowly
LAYOUT = """
disk:
  swap_files: [{path: /var/swap/file, size: 64 MiB}]
  partitions:
    - {mount: /boot, size: 256 MiB}
    - volume_group: the-system
      luks: {passphrase_variable: DISK_PASSPHRASE}
      minimum: 3 GiB
      logical_volumes:
        - {name: root, mount: /, grow: false}
        - {name: home, mount: /home, size: 64 MiB}
    - {mount: /opt, file_system: squashfs, verity: true}
    - {type: swap, size: 64 MiB}
    - {mount: /srv, file_system: btrfs, size: 256 MiB, grow: first-boot}
formats: [raw]
"""

# LVM's own programs read the group that we wrote, and change it.
PV = "/dev/mapper/luks-the-system"
GROWN = "swapon; echo gr''own to $(($(findmnt -bno SIZE /srv) >> 20)) MiB"
LVM = f"vgck && lvcreate --yes --size 8M --name more the-system && vgck && pvck {PV} && echo lvm agr''ees"
ONLINE = "until networkctl | grep routable; do sleep 1; done"


def ask(machine: Machine, command: str) -> None:
    """Log in at the console and run the command, its output ending with "asked"."""
    machine.wait_for(r"minimal login:", timeout=PATIENCE)
    machine.send("root\n")
    machine.wait_for(r"Password:", timeout=PATIENCE)
    machine.send("minimal\n")
    machine.wait_for(r"root@minimal", timeout=PATIENCE)
    machine.send(f"export PAGER=cat SYSTEMD_PAGER=cat SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0; {command}; echo as''ked\n")


@pytest.mark.parametrize("firmware", [Firmware.UEFI, Firmware.UEFI_SECURE])
def test_the_default_disk_starts_by_uefi(
    build: Callable[[str, str], Built], tmp_path: Path, firmware: Firmware
) -> None:
    """In the smallest system, where root logs in at the console."""
    image = build("root", "debian-minimal").image
    with Machine(image, firmware=firmware, log=tmp_path / "console") as machine:
        system = "systemctl is-system-running --wait; mokutil --sb-state"
        ask(machine, f"{system}; update-grub 2>&1 | tail -1; findmnt -no FSTYPE /boot/efi; {ONLINE}")
        machine.wait_for("running$", timeout=PATIENCE)
        machine.wait_for(
            "SecureBoot enabled" if firmware is Firmware.UEFI_SECURE else "SecureBoot disabled", timeout=PATIENCE
        )
        machine.wait_for("done", timeout=PATIENCE)
        machine.wait_for("vfat", timeout=PATIENCE)
        machine.wait_for("ether +routable", timeout=PATIENCE)
        machine.send("poweroff\n")
        machine.wait_for_end(PATIENCE)


def test_a_disk_of_several_file_systems_starts(scratch_room: Path, installed: Path, tmp_path: Path) -> None:
    account = make_account("user", scratch_room, installed)
    blueprint = account.home / "several.yaml"
    minimal = (Path(__file__).parents[2] / "blueprints/debian-minimal.yaml").read_text()
    minimal = minimal.replace("console=ttyS0", f"console=ttyS0 {PATIENT}")
    minimal = minimal.replace(
        "kernel:", "kernel:\n  package: linux-image-cloud-amd64"
    )  # small, and QEMU needs no other
    blueprint.write_text(minimal.split("disk:")[0].replace("name: debian-minimal", "name: several") + LAYOUT)
    done = account.compose(
        *("build", blueprint, "-o", account.home / "images", "--store", account.store),
        env={"DISK_PASSPHRASE": "open sesame"},
    )
    assert done.returncode == 0, done.stderr
    image = account.home / "images/several.raw"
    os.truncate(image, image.stat().st_size + (256 << 20))
    with Machine(image, log=tmp_path / "console") as machine:
        machine.wait_for("unlock disk luks-the-system:", timeout=PATIENCE)
        machine.send("open sesame\n")
        ask(
            machine,
            f"systemctl is-system-running --wait; findmnt -rno TARGET,FSTYPE,SOURCE --real | sort; {LVM}; {GROWN}",
        )
        machine.wait_for("running", timeout=PATIENCE)
        for line in (
            "/ ext4 /dev/mapper/the--system-root",
            "/boot ext4",
            "/boot/efi vfat",
            "/home ext4",
            "/opt squashfs /dev/mapper/opt",
            "/srv btrfs",
        ):
            machine.wait_for(line, timeout=PATIENCE)
        machine.wait_for("lvm agrees", timeout=PATIENCE)
        machine.wait_for(r"/var/swap/file +file +64M", timeout=PATIENCE)
        machine.wait_for(r"grown to 5[01][0-9] MiB", timeout=PATIENCE)
        machine.send("poweroff\n")
        machine.wait_for_end(PATIENCE)
