"""`grow: first-boot`: what the image gets for it, and partitions that cannot grow."""

import pytest

from osbuild_compose.disk.growth import escaped
from osbuild_compose.errors import InputError
from tests.unit.compile.compiling import blueprint, check_options, compiled, files, options

HEAD = "name: a\ndistro: {}\n"
ROOT = "disk: {partitions: [{mount: /, grow: first-boot}]}\n"
SUBVOLUMES = "[{name: data, mount: /srv/my-data}, {name: logs, mount: /srv/logs}]"


@pytest.mark.parametrize(
    ("distro", "package"), [("debian-12", "fdisk"), ("debian-13", "fdisk"), ("fedora-43", "util-linux")]
)
def test_root_grows(distro: str, package: str) -> None:
    document = compiled(blueprint(HEAD.format(distro) + ROOT))
    check_options(document)
    assert package in document["stages"][0]["options"]["packages"]
    root = next(entry for entry in options(document, "org.osbuild.fstab")[0]["filesystems"] if entry["path"] == "/")
    assert root["options"] == "x-systemd.growfs"
    assert options(document, "org.osbuild.systemd")[0]["enabled_services"][0] == "compose-grow"
    unit = files(document)["/etc/systemd/system/compose-grow.service"]["content"]
    assert f"ExecStart=/usr/libexec/compose-grow {root['uuid']}\n" in unit
    assert "Before=systemd-growfs-root.service local-fs.target" in unit
    device = root["uuid"].replace("-", r"\x2d")
    assert f"After=dev-disk-by\\x2duuid-{device}.device\n" in unit
    assert files(document)["/usr/libexec/compose-grow"]["mode"] == "0755"


def test_without_it_nothing_grows() -> None:
    document = compiled(blueprint(HEAD.format("debian-12") + "disk: {partitions: [{mount: /, grow: true}]}\n"))
    assert "compose-grow" not in str(document)
    assert "growfs" not in str(document)


def test_data_in_a_subvolume_grows_at_one_mount_point() -> None:
    """A size is that in the image; the disk of the image has no more to give."""
    data = f"{{subvolumes: {SUBVOLUMES}, size: 1 GiB, grow: first-boot}}"
    document = compiled(blueprint(HEAD.format("debian-12") + f"disk: {{partitions: [{{mount: /}}, {data}]}}\n"))
    check_options(document)
    found = {entry["path"]: entry["options"] for entry in options(document, "org.osbuild.fstab")[0]["filesystems"]}
    assert found["/srv/my-data"] == "subvol=/data,x-systemd.growfs"
    assert found["/srv/logs"] == "subvol=/logs"
    unit = files(document)["/etc/systemd/system/compose-grow.service"]["content"]
    assert r"Before=systemd-growfs@srv-my\x2ddata.service " in unit
    assert document["assembler"]["options"]["disk"]["partitions"][-1].get("grow") is None


@pytest.mark.parametrize(
    ("partitions", "place", "message", "hint"),
    [
        (
            "{mount: /data, grow: first-boot}",
            "3:42",
            "only the last partition can grow, and root is after it",
            "list {mount: /}",
        ),
        (
            "{mount: /, grow: first-boot}, {type: swap, size: 1 GiB}",
            "3:38",
            "and swap is after it",
            "list this partition last",
        ),
        ("{mount: /}, {type: swap, size: 1 GiB, grow: first-boot}", "3:65", "swap cannot grow", "use ext4, xfs, btrfs"),
        (
            "{mount: /}, {mount: /a, file_system: vfat, grow: first-boot}",
            "3:70",
            "vfat cannot grow",
            "use ext4, xfs, btrfs",
        ),
        ("{mount: /}, {file_system: ext4, grow: first-boot}", "3:59", "grows where it is mounted", "add `mount`"),
        (
            "{mount: /}, {mount: /a, verity: true, grow: first-boot}",
            "3:65",
            "`verity` protects cannot grow",
            "leave `grow`",
        ),
        (
            "{mount: /}, {mount: /a, luks: {passphrase_variable: HOME}, grow: first-boot}",
            "3:86",
            "an encrypted partition cannot grow without its passphrase",
            "leave `luks` out",
        ),
        (
            "{mount: /}, {volume_group: a, grow: first-boot, logical_volumes: [{name: a, mount: /a}]}",
            "3:57",
            "a volume group would have to grow",
            "lvextend",
        ),
        (
            "{mount: /}, {volume_group: a, logical_volumes: [{name: a, mount: /a, grow: first-boot}]}",
            "3:96",
            "`grow: first-boot` is for partitions",
            "pvresize",
        ),
        ("{mount: /}, {mount: /a, grow: boot}", "3:51", "first-boot", ""),
    ],
)
def test_what_cannot_grow(partitions: str, place: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        blueprint(HEAD.format("debian-12") + f"disk: {{partitions: [{partitions}]}}\n")
    errors = {str(error.location): error for error in caught.value.each()}
    assert f"b.yaml:{place}" in errors, errors
    assert message in f"{errors[f'b.yaml:{place}']}"
    assert hint in errors[f"b.yaml:{place}"].hint


@pytest.mark.parametrize(
    ("path", "name"),
    [("/srv", "srv"), ("/", "-"), ("/a-b/c d", r"a\x2db-c\x20d"), ("/.a/é", r"\x2ea-\xc3\xa9"), ("/a//b/", "a-b")],
)
def test_names_of_units(path: str, name: str) -> None:
    """As `systemd-escape --path` prints them."""
    assert escaped(path) == name
