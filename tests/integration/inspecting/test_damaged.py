"""`compose inspect` of damaged images and of other files, and its temporary files."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from osbuild_compose.errors import InputError
from osbuild_compose.inspecting import inspection
from osbuild_compose.inspecting.output import as_json, as_text
from tests.conftest import REPO
from tests.integration.assembling import MIB
from tests.integration.inspecting.images import SCHEMA, fails, inspect, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners: needs root")


def test_a_file_that_is_no_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n" * 1000)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    fails(tmp_path / "missing", "there is no file")
    fails(tmp_path / "text", "is not a known image")
    fails(tmp_path / "empty", "is not a known image")
    fails(tmp_path / "pipe", "is not a file")


@pytest.mark.parametrize("name", ["raw.xz", "raw.zst", "tar", "tar.gz", "cpio", "vmdk", "vhdx"])
def test_an_image_that_is_cut_off_is_an_error(images: Path, tmp_path: Path, name: str) -> None:
    content = (images / f"web.{name}").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2 & ~511])
    fails(tmp_path / "cut", "cut off")


def test_a_disk_that_is_cut_off_is_read_in_part(images: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.raw").write_bytes((images / "web.raw").read_bytes()[: 12 * MIB])
    document = inspect(tmp_path / "cut.raw")
    assert len(document["partition_table"]["partitions"]) == 2
    assert "partition 2 ends beyond the disk: the image is cut off" in [one["message"] for one in document["notes"]]


def test_a_file_system_that_is_cut_off_is_read_in_part(tmp_path: Path) -> None:
    image = tmp_path / "cut.ext4"
    with image.open("wb") as file:
        file.truncate(8 * MIB)
    subprocess.run(["mke2fs", "-q", image], check=True)
    os.truncate(image, 7 * MIB)
    notes = [one["message"] for one in inspect(image)["notes"]]
    assert "the ext2 of the disk ends 1048576 bytes beyond it: it is cut off" in notes


def test_an_empty_fat_has_no_files(tmp_path: Path) -> None:
    image = tmp_path / "empty.fat"
    with image.open("wb") as file:
        file.truncate(8 * MIB)
    subprocess.run(["mkfs.vfat", image], check=True, stdout=subprocess.DEVNULL)
    assert [one["message"] for one in inspect(image)["notes"]] == ["no operating system was found in it"]


def test_a_warning_names_the_package_of_a_missing_program(images: Path, tmp_path: Path) -> None:
    """With one program hidden from the machine, the rest of the image is reported."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /usr/sbin/debugfs && shift 0 && exec "$@"']
    (tmp_path / "none").touch(mode=0o644)
    argv = [sys.executable, "-m", "osbuild_compose", "inspect", images / "web.raw", "--json"]
    done = subprocess.run(
        [*hidden, tmp_path / "none", *argv],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        check=False,
    )
    document = json.loads(done.stdout)
    notes = [(one["message"], one["hint"]) for one in document["notes"]]
    assert ("the files of partition 2 (ext4) cannot be read: debugfs is not installed", "install e2fsprogs") in notes
    assert [one["type"] for one in document["file_systems"]] == ["vfat", "ext4"]


@pytest.mark.parametrize(
    "name", ["raw", "qcow2", "ext4", "btrfs", "squashfs", "erofs", "tar", "oci-archive", "cpio", "iso"]
)
def test_damaged_images_are_an_error_or_read_in_part(images: Path, tmp_path: Path, name: str) -> None:
    """Some bytes are changed: the result is a report or an InputError, as anything else would be raised."""
    content = (images / f"web.{name}").read_bytes()
    used = [at for at in range(0, min(len(content), 6 * MIB), 512) if any(content[at : at + 512])]
    for seed in range(3):
        chance = random.Random(seed)
        damaged = bytearray(content)
        for _ in range(10**seed):
            damaged[min(chance.choice(used) + chance.randrange(512), len(content) - 1)] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            report = inspection.inspect(tmp_path / "damaged")
        except InputError as error:
            said = str(error)
        else:
            said = as_text(report)
            jsonschema.validate(json.loads(as_json(report)), SCHEMA, jsonschema.Draft202012Validator)
        assert said.replace("\n", "").isprintable()


def test_nothing_is_left_behind(images: Path, tmp_path: Path) -> None:
    run(images / "web.qcow2", TMPDIR=str(tmp_path))
    run(images / "web.btrfs", TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_behind_when_it_is_stopped(images: Path, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "osbuild_compose", "inspect", images / "web.raw.xz"]
    argv = ["env", "--default-signal", *command]  # what is started in the background ignores SIGINT
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("*/*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
