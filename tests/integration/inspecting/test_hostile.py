"""`compose inspect` of hostile images."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import jsonschema
import pytest

from tests.integration.inspecting.images import (
    SCHEMA,
    fails,
    inspect,
    run,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners: needs root")


def test_a_disk_that_is_not_all_in_its_file_reads_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret" * 10000)
    base = ("-b", tmp_path / "secret", "-F", "raw")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *base, tmp_path / "a.qcow2"], check=True)
    fails(tmp_path / "a.qcow2", "it only holds the differences from", "qemu-img convert")
    text = '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 100 FLAT "secret" 0\n'
    (tmp_path / "a.vmdk").write_text(text)
    fails(tmp_path / "a.vmdk", "it describes a disk that is in other files", "qemu-img convert")


def test_a_disk_of_more_than_any_machine_has_is_not_read(tmp_path: Path) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "a.qcow2", "100T"], check=True)
    fails(tmp_path / "a.qcow2", "its disk claims to have 109951162777600 bytes")


def test_links_lead_nowhere_but_into_the_image(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    (top / "etc").mkdir(parents=True)
    (tmp_path / "host-release").write_text("ID=secret\n")
    (top / "etc/os-release").symlink_to(tmp_path / "host-release")
    (top / "etc/hostname").symlink_to("../../host-release")
    (top / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (top / "etc/shadow").symlink_to("shadow")
    subprocess.run(["tar", "-C", top, "-cf", tmp_path / "a.tar", "."], check=True)
    subprocess.run(["mksquashfs", top, tmp_path / "a.squashfs", "-quiet", "-no-progress"], check=True)
    for image in (top, tmp_path / "a.tar", tmp_path / "a.squashfs"):
        done = run(image, "--json")
        assert "secret" not in done.stdout
        assert json.loads(done.stdout)["system"]["users"][0]["password"] is None


def test_names_of_an_archive_write_nothing_here(tmp_path: Path) -> None:
    (tmp_path / "content").write_text("root:x:0:0::/root:/bin/sh\n")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("etc/passwd", f"../../../../{tmp_path}/escaped", f"{tmp_path}/absolute"):
            tar.add(tmp_path / "content", name)
    before = sorted(tmp_path.iterdir())
    assert inspect(tmp_path / "a.tar")["system"]["users"][0]["name"] == "root"
    assert sorted(tmp_path.iterdir()) == before


def test_a_terminal_gets_no_control_characters(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    (top / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (top / "etc/os-release").write_text('PRETTY_NAME="\x1b]0;owned\x07\x9b31m"\n')
    (top / "etc/passwd").write_text("ro\x1b[2Jot:x:0:0::/root:/bin/sh\n")
    (top / "etc/hostname").write_bytes(b"host\xff\x08\n")
    (top / "etc/systemd/system/multi-user.target.wants/a\x1bc.service").symlink_to("x")
    (Path(os.fsdecode(os.fsencode(top) + b"/etc/\xff\x1b"))).mkdir()
    (Path(os.fsdecode(os.fsencode(top) + b"/etc/\xff\x1b/file"))).write_text("x" * 1000)
    done = run(top)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\n", "").isprintable()
    assert "\\x1b" in done.stdout
    jsonschema.validate(json.loads(run(top, "--json").stdout), SCHEMA, jsonschema.Draft202012Validator)


def test_a_directory_of_fat_in_itself_ends_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """mtools goes down until the path is too long: more than a thousand directories."""
    image, room = tmp_path / "a.fat", tmp_path / "room"
    room.mkdir()
    subprocess.run(["mkfs.fat", "-C", image, "1440"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mmd", "-i", image, "::/A", "::/A/B"], check=True)
    with image.open("r+b") as file:
        content = file.read()
        above, below = (content.index(name.ljust(11) + b"\x10") for name in (b"A", b"B"))
        file.seek(below + 26)  # the first cluster in the directory entry
        file.write(content[above + 26 : above + 28])
    done = run(image, TMPDIR=str(room))
    assert "Traceback" not in done.stderr
    assert list(room.iterdir()) == []
