"""How much room partitions need, and where they begin."""

import re

import pytest
from stagelib.disk import planner
from stagelib.disk.layout import from_options
from stagelib.errors import StageError

from osbuild_compose.blueprint import load
from osbuild_compose.disk import capacity
from osbuild_compose.disk.image_options import options as assembler_options
from osbuild_compose.document import reader
from osbuild_compose.errors import ComposeError, InputError
from tests.unit.compile.compiling import CATALOG, blueprint, compiled, request

HEAD = "name: web\ndistro: debian-12\n"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("disk: {size: 100 MiB}", r"by 32 MiB: they need at least bios 1 MiB, esp 128 MiB, root 1 MiB"),
        ("disk: {size: 513 MiB, bootloader: systemd-boot}", r"by 2 MiB: .* esp 512 MiB"),
        ("disk: {size: 400 MiB, partitions: [{mount: /, file_system: xfs}]}", r"root 300 MiB"),
        ("disk: {partitions: [{mount: /a, start: 1 MiB}]}", r"3:40.*overlaps esp, which ends at 136314880 bytes"),
        ("disk: {table: dos, partitions: [{mount: /a, start: 0}]}", r"overlaps the partition table"),
    ],
)
def test_partitions_that_booting_needs_take_room(text: str, reported: str) -> None:
    with pytest.raises(InputError, match=reported):
        blueprint(HEAD + text)


def test_a_disk_that_is_just_large_enough() -> None:
    exact = "disk: {table: dos, size: 8 MiB, partitions: [{mount: /, start: 512, size: 8388096}]}"
    assert compiled(blueprint(HEAD + exact))["assembler"]["options"]["size"] == 8 * MIB


def refused(text: str) -> str:
    """What the blueprint is refused with, and the hint."""
    with pytest.raises(ComposeError) as caught:
        blueprint(HEAD + text)
    (error,) = caught.value.each()
    return f"{error}; {error.hint}"


TWO_SIZES = "partitions: [{mount: /, size: 500 MiB}, {mount: /srv, size: 600 MiB}]"


@pytest.mark.parametrize(
    ("disk", "brief"),
    [
        (
            f"size: 1 GiB, {TWO_SIZES}",
            "by 207 MiB: they need at least bios 1 MiB, esp 128 MiB, root 500 MiB, srv 600 MiB "
            r"\(added: bios, as GRUB needs it .*; esp, as UEFI starts from it\)",
        ),
        (f"size: 1 GiB, sector_size: 4096, {TWO_SIZES}", "esp 128 MiB, root 500 MiB, srv 600 MiB"),
        (f"size: 1 GiB, bootloader: systemd-boot, {TWO_SIZES}", "esp 512 MiB, root 500 MiB, srv 600 MiB"),
        ("size: 1 GiB, partitions: [{volume_group: a, logical_volumes: [{name: b, size: 1 GiB}]}]", "a 1025 MiB"),
        ("size: 150 MiB, partitions: [{mount: /srv, luks: {passphrase_variable: HOME}, size: 60 MiB}]", "srv 60 MiB"),
        ("size: 160 MiB, partitions: [{mount: /srv, luks: {passphrase_variable: HOME}}]", "srv 32 MiB"),
        ("size: 140 MiB, partitions: [{mount: /srv, verity: true, size: 9 MiB}]", "srv 9 MiB, srv-verity 1 MiB"),
        (
            "size: 1 GiB, table: dos, partitions: [{mount: /, size: 1 GiB}]",
            "by 1 MiB: they need at least root 1024",
        ),
    ],
)
def test_the_size_that_is_proposed_is_accepted(disk: str, brief: str) -> None:
    reported = refused(f"disk: {{{disk}}}\n")
    assert re.search(brief, reported), reported
    proposed = re.search(r"; write (\d+) MiB", reported)
    assert proposed, reported
    wanted = re.sub("size: [0-9]+ .iB", f"size: {proposed[1]} MiB", disk, count=1)
    layout = request(blueprint(f"{HEAD}disk: {{{wanted}}}\n")).layout
    # The assembler places the same partitions on a disk of this size, and on none that is smaller.
    options = assembler_options(layout)
    needs = {number: capacity.minimum(item) for number, item in enumerate(layout.partitions)}
    planner.plan(from_options(options), needs)
    with pytest.raises(StageError, match=r"is too small by"):
        planner.plan(from_options({**options, "size": options["size"] - MIB}), needs)


def test_the_size_that_is_proposed_fits_the_format() -> None:
    assert "write 2048 MiB" in refused(f"formats: [gce]\ndisk: {{size: 1 GiB, {TWO_SIZES}}}\n")
    blueprint(f"{HEAD}formats: [gce]\ndisk: {{size: 2048 MiB, {TWO_SIZES}}}\n")


@pytest.mark.parametrize("start", ["1 MiB", "100 MiB", "129 MiB"])
def test_the_start_that_is_proposed_is_accepted(start: str) -> None:
    text = "disk: {{size: 2 GiB, partitions: [{{mount: /srv, start: {}, size: 600 MiB}}]}}\n"
    reported = refused(text.format(start))
    assert "it overlaps esp, which ends at 136314880 bytes" in reported
    proposed = re.search(r"; write (\d+) or more", reported)
    assert proposed, reported
    blueprint(HEAD + text.format(proposed[1]))


def test_every_overlap_is_reported() -> None:
    items = "[{mount: /a, size: 9 MiB}, {mount: /b, start: 5 MiB, size: 9 MiB}, {mount: /c, start: 9 MiB}]"
    with pytest.raises(ComposeError) as caught:
        blueprint(f"{HEAD}disk: {{bootloader: none, partitions: {items}}}\n")
    assert [re.sub(r".*overlaps (\w+),.*", r"\1", error.brief) for error in caught.value.each()] == ["a", "b"]


def test_an_encrypted_partition_has_room_for_its_header() -> None:
    reported = refused("disk: {partitions: [{mount: /srv, luks: {passphrase_variable: HOME}, size: 20 MiB}]}\n")
    assert "the minimum for ext4 and encryption is 32 MiB: 12 MiB too little" in reported


@pytest.mark.parametrize(
    ("text", "minimum"),
    [
        ("disk: {partitions: [{type: linux, size: 1 KiB}]}", "4096"),
        ("formats: [{format: ext4, size: 64 KiB}]", "1048576"),
    ],
)
def test_nothing_is_smaller_than_the_assemblers_take(text: str, minimum: str) -> None:
    assert f"the minimum is {minimum} bytes" in refused(text + "\n")


def test_a_wrong_size_does_not_hide_that_another_is_too_small() -> None:
    items = "[{mount: /a, file_system: xfs, size: 1 MiB}, {mount: /b, size: big}]"
    with pytest.raises(ComposeError) as caught:
        blueprint(f"{HEAD}disk: {{partitions: {items}}}\n")
    assert [error.brief for error in caught.value.each()] == [
        "the minimum for xfs is 300 MiB: 299 MiB too little",
        '`size`: "big" is not a size; write a number and a unit, such as 4 GiB',
    ]


def test_all_mistakes_of_a_disk_are_reported_at_once() -> None:
    items = "[{mount: /a, grow: maybe}, {mount: /etc}, {mount: /b, file_system: xfs, size: 1 MiB}]"
    with pytest.raises(ComposeError) as caught:
        blueprint(f"{HEAD}formats: [vhdx]\ndisk: {{sector_size: 4096, firmware: [uefi], partitions: {items}}}\n")
    reported = [error.brief for error in caught.value.each()]
    expected = ("vhdx", "it is one of: false, true, first-boot", "/etc must be on", "the minimum for xfs is 300 MiB")
    assert all(any(part in one for one in reported) for part in expected), reported
    assert len(reported) == 4


def test_room_depends_on_what_the_distribution_boots_with() -> None:
    document = reader.parse(f"{HEAD}disk: {{size: 1 GiB, {TWO_SIZES}}}\n".encode(), "b.yaml")
    with pytest.raises(InputError, match="they need at least esp 128 MiB, root 500 MiB, srv 600 MiB"):
        load.check(document, {"debian-12"}, firmware=lambda *_: ("uefi",))
    assert CATALOG.firmware("debian-12", "x86_64") == ("bios", "uefi")
    assert CATALOG.firmware("debian-12", "vax") == CATALOG.firmware("plan9", "x86_64") == ()
