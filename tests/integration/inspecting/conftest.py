"""Images shared by the tests of `compose inspect`."""

import os
from pathlib import Path

import pytest

from tests.integration.assembling import assemble
from tests.integration.inspecting.images import DISK, IDENTITY, IMAGE, OUTPUTS, ROOT_UUID

LONG = "/" + "x" * 100


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small system with everything that an inspection reports, and with unusual files."""
    top = tmp_path_factory.mktemp("inspect") / "tree"
    texts = {
        "usr/lib/os-release": 'ID=tiny\nPRETTY_NAME="Tiny \\"1\\""\nVERSION_ID=1\n',
        "etc/hostname": "tiny\n",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/usr/sbin/nologin\n"
        "admin:x:1000:1000::/home/admin:/bin/sh\n",
        "etc/shadow": "root:!:1::::::\nweb:*:1::::::\nadmin:$6$a$b:1::::::\n",
        "etc/group": "root:x:0:\nsudo:x:27:admin\nadmin:x:1000:\n",
        "etc/fstab": f"UUID={ROOT_UUID} / ext4 defaults 0 1\nUUID=1234-ABCD /boot/efi vfat umask=0077 0 2\n",
        "home/admin/.ssh/authorized_keys": "# mine\nssh-ed25519 AAAA me\n",
        "var/lib/dpkg/status": "Package: base\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n",
        "boot/grub/grub.cfg": "menuentry 'Tiny' --class tiny {\n"
        " linux /boot/vmlinuz-6.1.0-10 root=UUID=x ro\n initrd /boot/i\n}\n",
        "boot/vmlinuz-6.1.0-10": "kernel",
        "boot/initrd.img-6.1.0-10": "initramfs",
        "boot/efi/EFI/debian/grub.cfg": "of the disk",
        "boot/efi/EFI/BOOT/grubx64.efi": "no program",
        "boot/efi/EFI/BOOT/BOOTX64.EFI": "no program",
        "usr/lib/systemd/system/web.service": "[Unit]\n",
        "usr/lib/osbuild-compose/build.json": '{"name": "tiny", "distro": "tiny-1", "tree_id": "abc"}',
        "usr/share/odd/line\nbreak -> x": "odd",
    }
    for name, text in texts.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for directory in ("usr/lib/live/boot", "usr/lib/modules/6.1.0-10", "etc/systemd/system/multi-user.target.wants"):
        (top / directory).mkdir(parents=True, exist_ok=True)
    (top / "etc/os-release").symlink_to("../usr/lib/os-release")
    (top / "etc/systemd/system/multi-user.target.wants/web.service").symlink_to("/usr/lib/systemd/system/web.service")
    (top / "etc/systemd/system/off.service").symlink_to("/dev/null")
    (top / "usr/lib/systemd/system/default.target").symlink_to("multi-user.target")
    (top / "usr/share/far").symlink_to(LONG * 3)
    (top / "usr/share/round").symlink_to("round")
    (top / "usr/share/large").write_bytes(os.urandom(100_000))
    os.link(top / "usr/share/large", top / "usr/share/large-again")
    return top


@pytest.fixture(scope="session")
def images(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All images of OUTPUTS, assembled in one run."""
    out = tmp_path_factory.mktemp("inspected")
    outputs = [{"filename": f"web.{name}", **options} for name, options in OUTPUTS.items()]
    result = assemble(tree, IMAGE, {"identity": IDENTITY, "disk": DISK, "outputs": outputs}, out)
    assert result.status == 0, result.log
    return out
