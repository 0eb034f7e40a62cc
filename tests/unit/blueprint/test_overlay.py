"""A directory as `source` of a file: what of it goes into the pipeline, and what cannot be copied."""

import contextlib
import os
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.document import reader
from osbuild_compose.errors import InputError
from tests.unit.compile.compiling import CATALOG, check_options, compiled, options

FILES = "org.osbuild-compose.files"
CONF = "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4"  # of "hi\n"


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    """A small directory, `overlay`."""
    top = tmp_path / "overlay"
    (top / "etc/app").mkdir(parents=True, mode=0o700)
    (top / "etc/app/conf").write_text("hi\n")
    (top / "etc/app/conf").chmod(0o600)
    (top / "bin").mkdir()
    (top / "bin/a tool%").write_text("hi\n")
    (top / "bin/a tool%").chmod(0o755)
    (top / "out").symlink_to("../../etc/shadow")
    (top / "gone").symlink_to("/nowhere")
    return top


def loaded(directory: Path, files: str, more: str = "") -> load.Blueprint:
    text = f"name: a\ndistro: debian-12\n{more}files: {files}\n"
    return load.check(reader.parse(text.encode(), str(directory / "b.yaml")), CATALOG.releases)


def test_links_stay_and_executable_bits_count(overlay: Path) -> None:
    document = compiled(loaded(overlay.parent, "[{path: /, source: overlay/}, {path: /etc/app/conf, content: own}]"))
    check_options({key: document[key] for key in ("name", "stages", "assembler")})
    made, after = options(document, FILES)[-2:]
    assert made == {
        "directories": [{"path": path, "keep": True} for path in ("/bin", "/etc", "/etc/app")],
        "files": [
            {"path": "/bin/a tool%", "checksum": f"sha256:{CONF}", "mode": "0755"},
            {"path": "/etc/app/conf", "checksum": f"sha256:{CONF}", "mode": "0644"},
        ],
        "symlinks": [{"path": "/gone", "target": "/nowhere"}, {"path": "/out", "target": "../../etc/shadow"}],
    }
    (address,) = document["sources"]["org.osbuild.files"]["urls"].values()
    assert address in (f"file://{overlay}/bin/a%20tool%25", f"file://{overlay}/etc/app/conf")
    assert [file["path"] for file in after["files"]] == ["/etc/app/conf"]  # replaces the overlay's


def test_mode_and_owner_are_those_of_everything(overlay: Path) -> None:
    entry = '{path: /srv/app, source: overlay/etc, mode: "0640", owner: app, group: 33}'
    made = options(compiled(loaded(overlay.parent, f"[{entry}]")), FILES)[-1]
    common = {"owner": "app", "group": 33}
    assert made["directories"] == [
        {"path": path, "keep": True, "mode": "0750", **common} for path in ("/srv/app", "/srv/app/app")
    ]
    assert made["files"] == [{"path": "/srv/app/app/conf", "checksum": f"sha256:{CONF}", "mode": "0640", **common}]


def test_the_order_of_the_directory_and_times_do_not_matter(overlay: Path, tmp_path: Path) -> None:
    first = compiled(loaded(tmp_path, "[{path: /, source: overlay}]"))
    names = sorted(os.listdir(overlay), reverse=True)
    for name in names:  # into a new directory, in another order
        (tmp_path / "new").mkdir(exist_ok=True)
        (overlay / name).rename(tmp_path / "new" / name)
    overlay.rmdir()
    (tmp_path / "new").rename(overlay)
    os.utime(overlay / "etc/app/conf", (0, 0))
    assert compiled(loaded(tmp_path, "[{path: /, source: overlay}]"))["stages"] == first["stages"]


def test_a_large_file_stays_out_of_memory_and_pipeline(overlay: Path) -> None:
    with (overlay / "large").open("wb") as file:
        file.truncate(100 << 20)
    tracemalloc.start()
    try:
        document = compiled(loaded(overlay.parent, "[{path: /, source: overlay}, {path: /one, source: overlay/large}]"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
    checksums = [file["checksum"] for stage in options(document, FILES)[-2:] for file in stage["files"]]
    assert checksums[-1] == checksums[-2]  # /large and /one


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda top: os.mknod(top / "a", stat.S_IFSOCK | 0o600), "overlay/a is a socket"),
        (lambda top: os.mkfifo(top / "a"), "overlay/a is a named pipe"),
        (lambda top: (top / "a\nb").touch(), r"'a\\nb' in .*overlay is not a name of printable characters"),
        (lambda top: (top / "a").symlink_to("b\nc"), "the target of .*overlay/a is not a path"),
        (lambda top: (top / os.fsdecode(b"\xff")).touch(), r"'\\xff' in .* is not a name of printable characters"),
        (lambda top: (top / "proc").mkdir() or (top / "proc/a").touch(), "the kernel mounts its own /proc at boot"),
        (lambda top: (top / "run").mkdir() or (top / "run/a").touch(), "/run is empty after booting, so /run/a"),
    ],
)
def test_what_cannot_be_copied(overlay: Path, make: Callable[[Path], object], message: str) -> None:
    make(overlay)
    with pytest.raises(InputError, match=message) as caught:
        loaded(overlay.parent, "[{path: /, source: overlay}]")
    assert "b.yaml:3:27" in str(caught.value)


def test_a_file_is_not_written_over_the_root(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(InputError, match="`path`: / is a directory"):
        loaded(tmp_path, "[{path: /, source: a}]")


def test_several_directories_in_one_place(overlay: Path) -> None:
    both = "[{path: /, source: overlay}, {path: /, source: overlay/etc}, {path: /app/own, content: a}]"
    assert len(options(compiled(loaded(overlay.parent, both)), FILES)[-3:]) == 3


def test_directories_that_are_very_deep(overlay: Path) -> None:
    (overlay / "/".join("d" * 150)).mkdir(parents=True)
    with pytest.raises(InputError, match="are more than 100 deep"):
        loaded(overlay.parent, "[{path: /, source: overlay}]")


def test_a_file_that_is_removed_meanwhile(overlay: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(directory: Path) -> object:
        found = real(directory)
        if Path(directory) == overlay / "etc/app":
            entries = list(found)
            (overlay / "etc/app/conf").unlink()
            return contextlib.nullcontext(entries)
        return found

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"cannot read .*etc/app/conf: No such file or directory"):
        loaded(overlay.parent, "[{path: /, source: overlay}]")


@pytest.mark.parametrize(("name", "message"), [("a\\0b", "is not a path"), ("a" * 5000, "File name too long")])
@pytest.mark.parametrize("key", ["files: [{path: /a, ", "scripts: [{", "containers: [{name: a, "])
def test_names_that_no_file_has(tmp_path: Path, key: str, name: str, message: str) -> None:
    text = f'name: a\ndistro: debian-12\n{key}source: "{name}"}}]\n'
    with pytest.raises(InputError) as caught:
        load.check(reader.parse(text.encode(), str(tmp_path / "b.yaml")), CATALOG.releases)
    assert any(message in str(error) for error in caught.value.each())


@pytest.mark.parametrize(
    ("files", "more", "message"),
    [
        ("{path: /etc, content: a}", "", "`path`: a directory in `files` has /etc already, as a directory"),
        ("{path: /etc/app/conf/a, content: a}", "", "/etc/app/conf is a file of a directory in `files`"),
        ("{path: /etc/app/conf, source: overlay}", "", "/etc/app/conf is a directory here, and a file in another"),
        ("{path: /a, content: a}, {path: /a, source: overlay}", "", "/a is a file, too"),
        ("{path: /a, content: a}, {path: /a/b, source: overlay}", "", "/a is a file, so there can be no /a/b"),
        ("", "directories: [{path: /etc/app/conf}]", "has /etc/app/conf already, as a file"),
        ("", "symlinks: [{path: /etc/app, target: a}]", "has /etc/app already, as a directory"),
        ("", "disk: {swap_files: [{path: /etc/app/conf, size: 1 GiB}]}", "has /etc/app/conf already, as a file"),
    ],
)
def test_what_another_key_makes_something_else(overlay: Path, files: str, more: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        loaded(overlay.parent, f"[{{path: /, source: overlay}}, {files}]".replace(", ]", "]"), f"{more}\n")
    assert any(message in str(error) and "b.yaml:" in str(error) for error in caught.value.each()), caught.value


@pytest.mark.parametrize("more", ["symlinks: [{path: /etc/app/conf, target: a}]", "directories: [{path: /etc/app}]"])
def test_what_may_be_there_twice(overlay: Path, more: str) -> None:
    assert loaded(overlay.parent, "[{path: /, source: overlay}, {path: /out, content: a}]", f"{more}\n")


def test_its_files_say_what_sets_up_the_network(overlay: Path) -> None:
    (overlay / "etc/network").mkdir()
    (overlay / "etc/network/interfaces").touch()
    more = "packages: [ifupdown]\nnetwork: {interfaces: [{name: a}]}\n"
    with pytest.raises(InputError, match="ifupdown sets up the network"):
        compiled(loaded(overlay.parent, "[{path: /, source: overlay}]", more))


@pytest.mark.parametrize("entry", ["file", "link"])
def test_its_name_servers_are_kept(overlay: Path, entry: str) -> None:
    more = "exclude: [systemd-resolved]\n"

    def document() -> str:
        return str(compiled(loaded(overlay.parent, "[{path: /, source: overlay}]", more)))

    assert "compose-name-servers" in document()
    own = overlay / "etc/resolv.conf"
    own.symlink_to("/run/mine") if entry == "link" else own.touch()
    assert "compose-name-servers" not in document()
