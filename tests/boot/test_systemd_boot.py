"""systemd-boot and unified kernel images start, and the running system updates them as its packages' hooks do.

And with a root hash among a kernel's options, the system on a / that nobody can change.
"""

import base64
import json
import mmap
import os
import subprocess
from pathlib import Path

import pytest

from osbuild_compose.boot import Firmware, Machine
from osbuild_compose.boot.image import Disk, disk_of
from tests.boot.conftest import PATIENCE
from tests.boot.test_firmware import PATIENT, ask
from tests.conftest import REPO, make_account

ARGUMENTS = f"root=UUID=[-0-9a-f]{{36}} ro console=tty0 console=ttyS0 {PATIENT}"
UNIFIED = "{bootloader: none, uki: true, sector_size: 4096, partitions: [{mount: /, grow: first-boot}]}"
REBOOT = ("-action", "reboot=reset")  # instead of ending the machine
ENTRIES = "find /boot/efi -type f -printf '%P\\n' | sort"
# What Debian runs for a new kernel (but for making an initramfs, which takes minutes here), and for a new initramfs.
NEW_KERNEL = "run-parts --regex ^zz- --arg=$(uname -r) --arg=/boot/vmlinuz-$(uname -r) /etc/kernel/postinst.d"
NEW_INITRAMFS = "run-parts --arg=$(uname -r) --arg=/boot/initrd.img-$(uname -r) /etc/initramfs/post-update.d"


@pytest.fixture
def image(request: pytest.FixtureRequest, scratch_room: Path, installed: Path) -> Path:
    """The raw image of the smallest Debian with the rest of a blueprint as it is given."""
    account = make_account("root", scratch_room, installed)
    minimal = (REPO / "blueprints/debian-minimal.yaml").read_text().split("disk:")[0]
    name, release, rest = request.param
    minimal = minimal.replace("console=ttyS0", f"console=ttyS0 {PATIENT}")
    minimal = minimal.replace(
        "kernel:", "kernel:\n  package: linux-image-cloud-amd64"
    )  # small, and QEMU needs no other
    blueprint = account.home / f"{release}-{name}.yaml"
    blueprint.write_text(f"{minimal.replace('debian-minimal', blueprint.stem).replace('debian-12', release)}{rest}")
    done = account.compose(
        "build", blueprint, "--format", "raw", "-o", account.home / "images", "--store", account.store
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.split()[0])  # with `verity` a root hash is beside it


@pytest.mark.parametrize(
    "image", [("entries", "debian-13", "packages: [systemd-ukify]\ndisk: {bootloader: systemd-boot}\n")], indirect=True
)
def test_systemd_boot_starts_both_types_of_entries(image: Path, tmp_path: Path) -> None:
    """The kernel is installed again, then made a unified one, which is started next."""
    assert disk_of(image) == Disk(Firmware.UEFI, 512)
    with Machine(image, firmware=Firmware.UEFI, arguments=REBOOT, log=tmp_path / "console") as machine:
        clear = "rm -r /boot/efi/debian/* /boot/efi/loader/entries/*"
        ask(machine, f"systemctl is-system-running --wait; bootctl status; {ENTRIES}; {clear}; {NEW_KERNEL}; {ENTRIES}")
        machine.wait_for(r"running$", timeout=PATIENCE)
        machine.wait_for("Product: systemd-boot 257", timeout=PATIENCE)
        machine.wait_for(r"Current Entry: debian-6.*\.conf", timeout=PATIENCE)
        machine.wait_for(rf"options: {ARGUMENTS}$", timeout=PATIENCE)
        for _ in range(2):
            machine.wait_for(r"^EFI/BOOT/BOOTX64\.EFI$\n^EFI/systemd/systemd-bootx64\.efi$", timeout=PATIENCE)
            machine.wait_for(r"^debian/(6\S+)/initrd\.img-\1$\n^debian/\1/linux$", timeout=PATIENCE)
            machine.wait_for(r"^loader/entries/debian-6\S+\.conf$", timeout=PATIENCE)
        machine.wait_for("^asked", timeout=PATIENCE)
        machine.send("sed -i s/layout=bls/layout=uki/ /etc/kernel/install.conf\n")
        machine.send(f"{NEW_INITRAMFS} && bootctl set-oneshot debian-$(uname -r).efi && reboot\n")
        ask(machine, "cat /proc/cmdline; bootctl status")
        machine.wait_for(rf"{ARGUMENTS}$", timeout=PATIENCE)
        machine.wait_for(r"Current Entry: debian-6.*\.efi", timeout=PATIENCE)


@pytest.mark.parametrize("image", [("unified", "debian-12", f"disk: {UNIFIED}\n")], indirect=True)
def test_firmware_starts_a_unified_kernel_image_from_large_sectors(image: Path, tmp_path: Path) -> None:
    assert disk_of(image) == Disk(Firmware.UEFI, 4096)
    os.truncate(image, 3 << 30)
    with Machine(image, firmware=Firmware.UEFI, sector=4096, log=tmp_path / "console") as machine:
        sector = "cat /sys/block/vda/queue/logical_block_size"
        before = "cp /boot/efi/EFI/BOOT/BOOTX64.EFI /root/before"
        again = f"{before}; {NEW_KERNEL}; cmp /boot/efi/EFI/BOOT/BOOTX64.EFI /root/before && echo the sa''me"
        grown = "test $(findmnt -bno SIZE /) -gt $((2 << 30)) && echo gr''own"
        ask(machine, f"systemctl is-system-running --wait; {grown}; {sector}; cat /proc/cmdline; {again}; {ENTRIES}")
        machine.wait_for(r"running$", timeout=PATIENCE)
        machine.wait_for("^grown$", timeout=PATIENCE)
        machine.wait_for("^4096$", timeout=PATIENCE)
        machine.wait_for(rf"^{ARGUMENTS}$", timeout=PATIENCE)
        machine.wait_for("^the same$", timeout=PATIENCE)
        machine.wait_for(r"^EFI/BOOT/BOOTX64\.EFI$\n^asked", timeout=PATIENCE)


MARKER = b"bytes that are on the disk once"
SEALED = f"""
packages: [openssh-server]
files: [{{path: /usr/share/marker, base64: {base64.b64encode(MARKER).decode()}}}]
disk:
  bootloader: systemd-boot
  uki: true
  partitions:
    - {{mount: /, file_system: ext4, verity: true}}
    - {{mount: /var}}
"""


@pytest.mark.parametrize("image", [("sealed", "debian-13", SEALED)], indirect=True)
def test_a_root_that_verity_checks_is_read_as_it_was_made_or_not_at_all(image: Path, tmp_path: Path) -> None:
    root_hash = image.with_suffix(".roothash").read_text().strip()
    # As somebody could who has the disk: the shell of the machine has it, too.
    change = f"printf x | dd of=/dev/vda2 bs=1 seek={place(image, MARKER)} conv=notrunc,fsync status=none"
    again = "echo 3 > /proc/sys/vm/drop_caches; cat /usr/share/marker"
    with Machine(image, firmware=Firmware.UEFI, log=tmp_path / "console") as machine:
        state = "systemctl is-system-running --wait; cat /proc/cmdline; dmsetup table; findmnt -rno SOURCE /; touch /x"
        ask(machine, f"{state}; systemctl is-active ssh; cat /usr/share/marker; echo; {change}; {again}")
        machine.wait_for(r"running$", timeout=PATIENCE)
        machine.wait_for(rf"^root=/dev/mapper/root ro roothash={root_hash} console", timeout=PATIENCE)
        machine.wait_for(rf"^root: 0 \d+ verity .* {root_hash} ", timeout=PATIENCE)
        machine.wait_for("^/dev/mapper/root$", timeout=PATIENCE)
        machine.wait_for("'/x': Read-only file system", timeout=PATIENCE)
        machine.wait_for("^active$", timeout=PATIENCE)
        machine.wait_for(f"^{MARKER.decode()}$", timeout=PATIENCE)
        machine.wait_for("/usr/share/marker: Input/output error", timeout=PATIENCE)


def place(image: Path, text: bytes) -> int:
    """Where the bytes are in the second partition of the raw image, the only time that they are there."""
    table = json.loads(subprocess.check_output(["sfdisk", "--json", image]))["partitiontable"]
    start, size = (table["partitions"][1][key] * table["sectorsize"] for key in ("start", "size"))
    with image.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = data.find(text, start, start + size)
        assert found > 0
        assert data.find(text, found + 1, start + size) < 0
    return found - start
