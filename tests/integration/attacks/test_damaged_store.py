"""A store damaged in any file in any way: reported, made again, and never a traceback, a hang or a wrong result.

A sample of all combinations of files and kinds of damage is tried; with COMPOSE_TEST_ALL_DAMAGE=1, every one.
"""

import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Account, make_account, remove
from tests.integration.runner.conftest import Bench, step

ALL = bool(os.environ.get("COMPOSE_TEST_ALL_DAMAGE"))
SAMPLE = 16
SEED = 20261128
GROW = r"""
import json, os, shutil, sys
args = json.load(sys.stdin); n, tree = args["options"]["n"], args["tree"]
if n == 2:
    os.unlink(f"{tree}/0/file-3"); shutil.rmtree(f"{tree}/1"); os.mkdir(f"{tree}/1"); os.mkfifo(f"{tree}/1/fifo")
os.makedirs(f"{tree}/{n}")
for i in range(5):
    open(f"{tree}/{n}/file-{i}", "w").write(f"{n} {i} " * 1000)
if "sources" in args:
    for name in sorted(os.listdir(args["sources"])):
        for file in sorted(os.listdir(f"{args['sources']}/{name}")):
            open(f"{tree}/{n}/{name}", "wb").write(open(f"{args['sources']}/{name}/{file}", "rb").read())
"""
TOTAL = r"""
import hashlib, json, os, sys
args = json.load(sys.stdin); h = hashlib.sha256()
for d, dirs, files in os.walk(args["tree"]):
    dirs.sort()
    for n in sorted(set(files) - {"fifo"}):
        p = os.path.join(d, n); h.update(os.path.relpath(p, args["tree"]).encode() + open(p, "rb").read())
with open(args["output_dir"] + "/image", "w") as file: file.write(h.hexdigest() + "\n" + "x" * 10000)
os.mkdir(args["output_dir"] + "/more"); open(args["output_dir"] + "/more/part", "w").write("part" * 100)
"""
CONTENT = "a source\n"


def text(value: str | bytes) -> Callable[[Path], None]:
    """Damage that replaces the content of a file."""
    return lambda path: (path.write_bytes(value if isinstance(value, bytes) else value.encode()), None)[1]


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Damage that puts something else in place of a file."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def flip(at: float) -> Callable[[Path], None]:
    """Damage to one byte, with the size and times as they were."""

    def damage(path: Path) -> None:
        info, data = path.stat(), bytearray(path.read_bytes())
        if data:
            data[int(at * (len(data) - 1))] ^= 0x01
        path.write_bytes(data)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    return damage


def in_json(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Damage to the values of a JSON document; a file that is none is emptied."""

    def damage(path: Path) -> None:
        try:
            path.write_text(json.dumps(change(json.loads(path.read_text()))))
        except ValueError:
            path.write_bytes(b"")

    return damage


def each_value(value: Any) -> Callable[[Any], Any]:
    return lambda document: dict.fromkeys(document, value) if isinstance(document, dict) else value


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # paths of sockets are short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(here)


def make_full_directory(path: Path) -> None:
    (path / "sub").mkdir(parents=True)
    (path / "sub/file").write_text("content")


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "empty": text(""),
    "one byte less": lambda path: os.truncate(path, max(0, path.stat().st_size - 1)),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte more": lambda path: (path.write_bytes(path.read_bytes() + b"\0"), None)[1],
    "zeros": lambda path: (path.write_bytes(bytes(path.stat().st_size)), None)[1],
    "first byte": flip(0),
    "middle byte": flip(0.5),
    "last byte": flip(1),
    "not UTF-8": text(b"\xff\xfe\x80{}"),
    "NULs": text(b"\0\0\0"),
    "NUL in a text": text('{"name": "a\\u0000b"}'),
    "not JSON": text("{"),
    "null": text("null"),
    "true": text("true"),
    "a number": text("3"),
    "a huge number": text("9" * 5000),
    "1e999": text("1e999"),
    "NaN": text("NaN"),
    "a text": text('"text"'),
    "an empty list": text("[]"),
    "an empty object": text("{}"),
    "deep lists": text("[" * 100_000 + "]" * 100_000),
    "deep objects": text('{"a":' * 50_000 + "1" + "}" * 50_000),
    "half a surrogate": text('"\\ud800"'),
    "a path out": text("../../../../etc/passwd"),
    "64 zeros": text("0" * 64),
    "values null": in_json(each_value(None)),
    "values numbers": in_json(each_value(-1)),
    "values huge": in_json(each_value(10**400)),
    "values lists": in_json(each_value([["x"]])),
    "values objects": in_json(each_value({"a": {}})),
    "values texts": in_json(each_value("text")),
    "values with NUL": in_json(each_value("a\0b")),
    "keys gone": in_json(lambda document: dict(list(document.items())[::2]) if isinstance(document, dict) else None),
    "keys more": in_json(lambda document: {**document, "more": 1} if isinstance(document, dict) else None),
    "gone": lambda path: path.unlink(),
    "a directory": replaced(lambda path: path.mkdir()),
    "a full directory": replaced(make_full_directory),
    "a FIFO": replaced(os.mkfifo),
    "a socket": replaced(make_socket),
    "a link to nothing": replaced(lambda path: path.symlink_to("nowhere")),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "a link to /dev/zero": replaced(lambda path: path.symlink_to("/dev/zero")),
    "a link to /etc/passwd": replaced(lambda path: path.symlink_to("/etc/passwd")),
    "4 TiB of nothing": make_sparse,
    "unreadable": lambda path: path.chmod(0),
}


class Damaged(Bench):
    """A bench with a small store of several layers, an output, a download, and what is expected of it."""

    def build(self, number: int = 0) -> subprocess.CompletedProcess[str]:
        """Build it; with a number, one more stage, so that trees are made from the layers."""
        args = self.argv("--output-directory", self.place / "out", "--jobs", "1")
        return self.account.runner(*args, input=json.dumps(self.document(number)), timeout=120)

    def document(self, number: int) -> dict[str, Any]:
        source = self.place / "source"
        digest = "sha256:" + subprocess.check_output(["sha256sum", source], text=True).split()[0]
        stages = [step(("grow", {"n": n})) for n in range(3)]
        stages.append(step(("grow", {"n": 3, "source": digest})))
        if number:
            stages.append(step(("org.osbuild.noop", {"n": number})))
        sources = {"org.osbuild.files": {"urls": {digest: f"file://{source}"}}}
        return {"pipeline": {"stages": stages, "assembler": step("total")}, "sources": sources}

    def maintain(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [self.account.python, "-m", "runner.store", "--store", self.store, *words]
        return self.account.run(argv, timeout=120)

    def image(self) -> str:
        return (self.place / "out/image").read_text()


def prepare(account: Account, place: Path) -> Damaged:
    bench = Damaged(account, place)
    bench.program("grow", GROW)
    bench.program("total", TOTAL, kind="assemblers")
    (place / "source").write_text(CONTENT)
    done = bench.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return bench


@pytest.fixture(scope="module", params=["root", "user"])
def intact(request: pytest.FixtureRequest, scratch_room: Path, installed: Path) -> Iterator[tuple[Damaged, Path]]:
    """The bench and a copy of its store."""
    account = make_account(request.param, scratch_room, installed)
    place = Path(subprocess.check_output(["mktemp", "-d", account.home / "test-XXXXXX"], text=True).strip())
    place.chmod(0o755)
    shutil.chown(place, account.name)
    bench = prepare(account, place)
    copy = place / "copy"
    account.run(["cp", "-a", bench.store, copy], check=True)
    yield bench, copy
    remove(place)


def restore(bench: Damaged, copy: Path) -> None:
    remove(bench.store)
    bench.account.run(["cp", "-a", copy, bench.store], check=True)


def files_of(store: Path) -> list[str]:
    found = [path for path in sorted(store.rglob("*")) if path.is_file()]
    return [str(path.relative_to(store)) for path in found]


def combinations(store: Path) -> list[tuple[str, str]]:
    everything = [(file, kind) for file in files_of(store) for kind in DAMAGE]
    assert len(everything) >= 135
    return everything if ALL else random.Random(SEED).sample(everything, SAMPLE)


def good(done: subprocess.CompletedProcess[str], what: tuple[str, str], codes: tuple[int, ...] = (0,)) -> None:
    assert "Traceback" not in done.stdout + done.stderr, (what, done.stdout + done.stderr)
    assert done.returncode in codes, (what, done.stdout + done.stderr)


def test_every_kind_of_damage(intact: tuple[Damaged, Path]) -> None:
    bench, copy = intact
    expected = bench.image()
    for number, what in enumerate(combinations(copy), 1):
        file, kind = what
        for way in ("build", "maintain") if ALL else ("build", "maintain")[number % 2 :][:1]:
            restore(bench, copy)
            damage(bench, file, kind)
            if way == "build":
                remove(bench.scratch)
                (bench.place / "out/image").unlink()
                good(bench.build(), what)
                assert bench.image() == expected, what
                good(bench.build(number), what)
                assert bench.image() == expected, what
            else:
                for words in (["ls"], ["du"]):
                    good(bench.maintain(*words), what)
                good(bench.maintain("verify"), what, (0, 1))
                good(bench.maintain("verify"), what)  # nothing is damaged any more
                good(bench.maintain("prune", "--keep", "1K"), what)
                assert not list((bench.store / "outputs").iterdir()), what
                good(bench.maintain("clear"), what)
                good(bench.build(), what)
                assert bench.image() == expected, what


def damage(bench: Damaged, file: str, kind: str) -> None:
    """Do it, and let what was put there belong to the account."""
    path = bench.store / file
    DAMAGE[kind](path)
    if path.exists() or path.is_symlink():
        subprocess.run(["chown", "-R", "-h", bench.account.name, path], check=True)


@pytest.mark.parametrize(
    "name", ["layers", "outputs", "refs", "builds", "downloads", "downloads/sha256", "locks", "tmp"]
)
def test_directories_of_a_store_that_are_none(intact: tuple[Damaged, Path], name: str) -> None:
    bench, copy = intact
    expected = bench.image()
    for kind in ("a FIFO", "a link to nothing", "empty"):
        restore(bench, copy)
        remove(bench.store / name)
        (bench.store / name).touch()
        damage(bench, name, kind)
        done = bench.build(1)
        good(done, (name, kind), (0, 2))
        if done.returncode == 0:
            assert bench.image() == expected


def test_damage_is_reported(intact: tuple[Damaged, Path]) -> None:
    bench, copy = intact
    restore(bench, copy)
    for file in files_of(copy):
        if file.startswith(("layers/", "outputs/", "builds/")):
            restore(bench, copy)
            remove(bench.scratch)
            damage(bench, file, "first byte")
            done = bench.build(0 if file.startswith("outputs/") else 1)
            good(done, (file, "first byte"))
            assert "damaged" in done.stdout, (file, done.stdout)


def test_a_flipped_byte_of_an_output_with_its_old_times(intact: tuple[Damaged, Path]) -> None:
    bench, copy = intact
    expected = bench.image()
    restore(bench, copy)
    (output,) = (bench.store / "outputs").glob("*/image")
    flip(0.5)(output)
    verified = bench.maintain("verify")
    assert verified.returncode == 1
    assert json.loads(verified.stdout)["what"] == "output"
    good(bench.build(), ("image", "flipped"))
    assert bench.image() == expected
    restore(bench, copy)
    (output,) = (bench.store / "outputs").glob("*/image")
    flip(0.5)(output)
    done = bench.build()
    good(done, ("image", "flipped"))
    assert "was written to or damaged" in done.stdout
    assert bench.image() == expected


def test_an_exported_image_that_was_booted(intact: tuple[Damaged, Path]) -> None:
    """The image is a hard link to the store's: a program writes to it, and sets its times back."""
    bench, copy = intact
    expected = bench.image()
    restore(bench, copy)
    (bench.place / "out/image").unlink()
    good(bench.build(), ("image", "booted"))
    assert "written to or damaged" not in bench.build().stdout, "making a link is no damage"
    flip(0.7)(bench.place / "out/image")
    done = bench.build()
    good(done, ("image", "booted"))
    assert "was written to or damaged" in done.stdout
    assert bench.image() == expected
