"""`disk.swap_files`: in fstab, made by mkswap with a UUID of its own, and refused where the kernel would."""

import pytest

from osbuild_compose.errors import InputError
from tests.unit.compile.compiling import blueprint, check_options, compiled, options

HEAD = "name: a\ndistro: {}\n"


@pytest.mark.parametrize("distro", ["debian-13", "fedora-43"])
def test_a_swap_file(distro: str) -> None:
    text = HEAD.format(distro) + 'disk: {swap_files: [{path: "/var/swap $1", size: 100.001 MB}]}\n'
    document = compiled(blueprint(text))
    check_options(document)
    entry = options(document, "org.osbuild.fstab")[0]["filesystems"][-1]
    common = {"vfs_type": "swap", "options": "sw", "freq": 0, "passno": 0}
    assert entry == {"device": "/var/swap $1", "path": "none", **common}
    script = next(one["script"] for one in options(document, "org.osbuild.script") if "mkswap" in one["script"])
    assert "file='/var/swap $1'\n" in script
    assert 'truncate -s 100003840 "$file"\n' in script  # whole blocks
    assert "umask 077\n" in script
    assert script.index('if [ -e "$file" ]') < script.index("truncate")  # no file of a package is overwritten
    assert compiled(blueprint(text)) == document  # the UUID, too


@pytest.mark.parametrize(
    ("disk", "message"),
    [
        ("swap_files: [{path: /a, size: 1 KiB}]", "a swap file has 40 KiB at least"),
        ("swap_files: [{path: /a, size: 1 MiB}, {path: /a, size: 2 MiB}]", "/a is already in `swap_files`"),
        ("swap_files: [{path: /srv, size: 1 MiB}], partitions: [{mount: /srv}]", "a file system is mounted at /srv"),
        (
            "swap_files: [{path: /a, size: 1 MiB}], partitions: [{mount: /, file_system: btrfs}]",
            "on btrfs: its files are",
        ),
        ("swap_files: [{path: /boot/efi/a, size: 1 MiB}]", "on vfat: it cannot be written in place"),
        (
            "swap_files: [{path: /srv/a, size: 1 MiB}], partitions: [{mount: /srv, verity: true}]",
            "/srv is read-only, as `verity` protects it",
        ),
        ("swap_files: [{path: /a, size: 1 MiB}, {path: /./a, size: 2 MiB}]", "/./a is already in `swap_files`"),
        ("swap_files: [{path: /a, size: 1 MiB}, {path: /a/b, size: 2 MiB}]", "/a is a file, so there can be no /a/b"),
        ("swap_files: [{path: /a, size: 17 TiB}]", "a file has 16 TiB at most"),
        ("swap_files: [{path: /srv, size: 1 MiB}], partitions: [{mount: /srv/a}]", "/srv is a directory, as a file"),
        ("swap_files: [{path: /tmp/a, size: 1 MiB}]", "/tmp is empty after booting"),
        ("swap_files: [{path: /dev/a, size: 1 MiB}]", "the kernel mounts its own /dev"),
        (
            "size: 4 GiB, swap_files: [{path: /a, size: 3 GiB}, {path: /b, size: 2 GiB}]",
            "do not fit on the disk, which has 4096 MiB",
        ),
        (
            "swap_files: [{path: /srv/a, size: 3 GiB}], partitions: [{mount: /srv, size: 2 GiB}]",
            "do not fit on the partition srv, which has 2048 MiB",
        ),
        ("swap_files: [{path: /, size: 1 MiB}]", "must be an absolute path"),
        ("swap_files: [{path: /a}]", "size"),
    ],
)
def test_refused(disk: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        blueprint(HEAD.format("debian-12") + f"disk: {{{disk}}}\n")
    assert any(message in str(error) for error in caught.value.each()), caught.value


@pytest.mark.parametrize("key", ["files: [{path: /a, content: x}]", "directories: [{path: /a}]"])
def test_a_path_that_another_key_has(key: str) -> None:
    with pytest.raises(InputError, match="/a is already in"):
        blueprint(HEAD.format("debian-12") + f"{key}\ndisk: {{swap_files: [{{path: /a, size: 1 MiB}}]}}\n")


def test_other_words_for_it() -> None:
    with pytest.raises(InputError) as caught:
        blueprint(HEAD.format("debian-12") + "swapfile: 1 GiB\n")
    assert "disk: {swap_files: [{path: /swapfile" in next(iter(caught.value.each())).hint
