"""Whatever tree a kernel can hold comes back from its layers, and no tree makes a later build of the store fail.

One case has a directory of 100,000 entries, the others of its kind 10,000: COMPOSE_TEST_ENTRIES sets another number
for all.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Account, remove
from tests.integration.runner.conftest import Bench, Ran

MANY = "many entries in a directory"
# The trees, each made by a program that has `tree` (bytes), `at`, which is os.path.join(tree, name), and `deep`.
MAKE = r"""
import ctypes, json, os, socket, stat, sys
args = json.load(sys.stdin)
tree = args["tree"].encode()
def at(name): return os.path.join(tree, name)
def deep(fd, name, depth, each=lambda fd, number: None):
    '''Make directories in directories; returns a descriptor of the last.'''
    for number in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd); fd = below
        each(fd, number)
    return fd
def put(fd, name, data=b""):
    file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=fd)
    os.write(file, data); os.close(file)
top = os.open(tree, os.O_RDONLY)
"""
TREES = {
    "1,500 levels": r"""
def each(fd, number):
    put(fd, "file", b"%d" % number)
    if number % 100 == 0:
        os.symlink("/etc/passwd", "link", dir_fd=fd); os.mkfifo(f"/proc/self/fd/{fd}/fifo")
        os.chown("file", 7, 8, dir_fd=fd); os.chmod("file", 0o4711, dir_fd=fd)
        os.utime("file", ns=(1, -1500000000), dir_fd=fd)
        os.setxattr(f"/proc/self/fd/{fd}/file", "user.note", b"=\n\0\xff")
        os.link("file", "second", src_dir_fd=fd, dst_dir_fd=fd)
        os.link("file", f"first-{number}", src_dir_fd=fd, dst_dir_fd=top)
        os.utime(fd, ns=(1, 123456789))
os.close(deep(os.dup(top), b"directory", 1500, each))
""",
    "names of full length, 60 levels": r"""
name = b"\xff\n\\'\"*[]?%" + b"n" * 245
assert len(name) == 255
def each(fd, number):
    for other in (b"x" * 255, b"\x01" * 255, b"-" * 255, b".wh." + b"w" * 251):
        put(fd, other, other)
os.close(deep(os.dup(top), name, 60, each))
""",
    "names that look like whiteouts": r"""
os.mkdir(at(b".wh.directory")); put(top, b".wh.file", b"1"); put(top, b".wh..wh..opq", b"2"); put(top, b".wh.", b"3")
os.mkdir(at(b"d")); open(at(b"d/.wh.x"), "w").close(); open(at(b"d/x"), "w").close()
open(at(b".wh.directory/y"), "w").close()
""",
    MANY: r"""
os.mkdir(at(b"many"))
fd = os.open(at(b"many"), os.O_RDONLY)
for number in range(args["options"]["entries"]):
    os.symlink("x", b"%d-\xfe" % number, dir_fd=fd) if number % 2 else put(fd, b"%d" % number)
""",
    "sparse files of 10 TB": r"""
for name, where in ((b"empty", None), (b"begin", 0), (b"middle", 5 * 10**12), (b"end", 10**13 - 4096)):
    with open(at(name), "wb") as file:
        file.truncate(10**13)
        if where is not None:
            file.seek(where); file.write(b"data" * 1024)
""",
    "sparse files of 10 TB below 600 levels": r"""
fd = deep(os.dup(top), b"directory", 600)
for name, where in (("empty", None), ("begin", 0), ("middle", 5 * 10**12), ("end", 10**13 - 4096)):
    with open(os.open(name, os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
        file.truncate(10**13)
        if where is not None:
            file.seek(where); file.write(b"data" * 1024)
""",
    "times of the past and the future": r"""
os.mkdir(at(b"directory"))
for number, time in enumerate((-1, -1500000000, -10**18, 1, 4 * 10**18, 5 * 10**18 + 999999999, 2**33 * 10**9)):
    put(top, b"%d" % number)
    os.utime(at(b"%d" % number), ns=(1, time))
for number in range(3_000):  # whose warnings by tar(1) are longer than a pipe
    put(top, b"much later %d" % number)
    os.utime(b"much later %d" % number, ns=(1, 5 * 10**18), dir_fd=top)
os.utime(at(b"directory"), ns=(1, -7 * 10**9 - 1))
os.utime(top, ns=(1, 3 * 10**18))
""",
    "sockets": r"""
os.mkdir(at(b"directory")); put(top, b"kept")
for name in (b"socket", b"directory/socket", b"replaced"):
    with socket.socket(socket.AF_UNIX) as one: one.bind(at(name))
os.utime(at(b"directory"), ns=(1, 10**18))
""",
}
# Changes what the other layer has, so that there are whiteouts and opaque directories of all lengths.
CHANGE = r"""
import shutil
def leave_half(fd):
    '''Remove or replace every other entry, in all directories.'''
    for number, name in enumerate(sorted(os.listdir(fd))):
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            yield name
        elif number % 2 == 0:
            os.unlink(name, dir_fd=fd)
        elif number % 3 == 0 and not name.startswith("much"):
            os.unlink(name, dir_fd=fd); os.mkdir(name, dir_fd=fd)
fd = os.dup(top)
while names := list(leave_half(fd)):
    below = os.open(names[0], os.O_RDONLY, dir_fd=fd); os.close(fd); fd = below
if os.path.lexists(at(b"kept")):
    os.unlink(at(b"kept"))
    with socket.socket(socket.AF_UNIX) as one: one.bind(at(b"kept"))
if os.path.isdir(at(b"d")):
    shutil.rmtree(at(b"d")); os.mkdir(at(b"d")); open(at(b"d/.wh.new"), "w").close()
"""
LIST = r"""
import hashlib, json, os, stat, sys
tree = json.load(sys.stdin)["tree"].encode()
digest, count, first = hashlib.sha256(), 0, {}
def content(fd, name, size):
    '''What a file has besides holes.'''
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=fd)
    end, found = 0, []
    while end < size:
        try: start = os.lseek(file, end, os.SEEK_DATA)
        except OSError: break
        end = min(os.lseek(file, start, os.SEEK_HOLE), size)
        while start < end and len(data := os.pread(file, min(1 << 16, end - start), start)):
            if data.strip(b"\0"): found.append([start, hashlib.sha256(data.strip(b"\0")).hexdigest()])
            start += len(data)
    os.close(file)
    return found
def look(fd, name, path):
    global count
    info = os.stat(name, dir_fd=fd, follow_symlinks=False)
    seen = [path.decode(errors="surrogateescape"), info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns]
    place = b"/proc/self/fd/%d/%s" % (fd, name)
    names = sorted(n for n in os.listxattr(place, follow_symlinks=False) if ".overlay." not in n)
    seen.append([(n, os.getxattr(place, n, follow_symlinks=False).hex()) for n in names])
    if not stat.S_ISDIR(info.st_mode): seen.append(first.setdefault((info.st_dev, info.st_ino), count))
    if stat.S_ISREG(info.st_mode): seen += [info.st_size, content(fd, name, info.st_size)]
    if stat.S_ISLNK(info.st_mode): seen.append(os.fsdecode(os.readlink(name, dir_fd=fd)))
    count += 1
    digest.update(json.dumps(seen).encode())
    return stat.S_ISDIR(info.st_mode)
fd, path, stack = os.open(tree, os.O_RDONLY), b"", []
look(fd, b".", b".")
while True:
    names = sorted(map(os.fsencode, os.listdir(fd)))
    stack.append([name for name in names if look(fd, name, path + b"/" + name)][::-1])
    while stack and not stack[-1]:
        stack.pop()
        if stack:
            above = os.open(b"..", os.O_RDONLY, dir_fd=fd); os.close(fd); fd = above
            path = path[: path.rindex(b"/")]
    if not stack: break
    name = stack[-1].pop()
    below = os.open(name, os.O_RDONLY, dir_fd=fd); os.close(fd); fd = below
    path += b"/" + name
print(count, digest.hexdigest())
"""


class InMemory(Bench):
    """With scratch in memory, as a disk takes minutes for so many files."""

    @property
    def scratch(self) -> Path:
        return Path("/dev/shm") / self.place.name


@pytest.fixture(params=["overlay", "plain"])
def any_bench(request: pytest.FixtureRequest, account: Account, place: Path) -> Iterator[Bench]:
    """With trees as overlays, and as plain directories."""
    bench = InMemory(account, place, overlay=request.param == "overlay")
    yield bench
    remove(bench.scratch)


def listing(ran: Ran) -> tuple[int, str]:
    assert ran.returncode == 0, json.dumps(ran.result.get("error"), indent=1) + ran.stderr
    count, digest = ran.output().split()
    return int(count), digest


@pytest.mark.parametrize("name", TREES)
def test_a_tree_comes_back(any_bench: Bench, name: str) -> None:
    bench = any_bench
    bench.program("make", MAKE + TREES[name])
    bench.program("change", MAKE + CHANGE)
    bench.program("list", LIST)
    most = bench.account.is_root and bench.overlay
    entries = int(os.environ.get("COMPOSE_TEST_ENTRIES", "100000" if most else "10000"))
    make = ("make", {"entries": entries})
    for stages in ([make], [make, "change"]):
        fresh = listing(bench.run(*stages, ("list", {"n": len(stages)})))
        remove(bench.scratch)
        ran = bench.run(*stages, ("list", {"n": len(stages), "again": True}))
        assert [one["cached"] for one in ran.result["stages"]] == [*[True] * len(stages), False]
        assert listing(ran) == fresh
    assert fresh[0] >= 2
    assert name != MANY or fresh[0] > entries / 2
    other = InMemory(bench.account, bench.place, overlay=not bench.overlay)
    assert listing(other.run(make, "change", ("list", {"other": True}))) == fresh


def test_a_deep_tree_that_is_left_behind_is_no_obstacle(any_bench: Bench) -> None:
    """A stage fails, or is killed with the runner, after it made 3,000 levels; the next builds do as ever."""
    bench = any_bench
    levels = "os.close(deep(os.dup(top), b'directory' * 20, 3000))\n"
    bench.program("fail", MAKE + levels + "sys.exit(1)")
    bench.program("in-var", MAKE + "os.close(deep(os.open('/var', os.O_RDONLY), b'directory' * 20, 3000))\n")
    bench.program("killed", MAKE + levels + "print('made', flush=True)\nimport time; time.sleep(600)")
    failed = bench.run("fail")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert bench.run("in-var").returncode == 0
    argv = bench.account.argv([bench.account.python, "-m", "runner", *bench.argv()])
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=bench.account.environment(), cwd=bench.place
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps({"stages": [{"name": "killed"}]}).encode())
        process.stdin.close()
        for line in process.stdout:
            if b"made" in line:
                break
        process.kill()
    assert bench.run(("org.osbuild.noop", {"n": 1})).returncode == 0
    assert list(bench.scratch.glob("tmp-*")) == []


def test_a_directory_that_cannot_be_removed_is_no_obstacle(bench: Bench) -> None:
    """A mount in what a killed build left behind stays, and is reported."""
    if not bench.account.is_root:
        pytest.skip("an ordinary user's mounts are in a namespace of their own")
    assert bench.run("org.osbuild.noop").returncode == 0
    places = [bench.scratch / "tmp-left/mounted", bench.store / "tmp/left/mounted"]
    for place in places:
        place.mkdir(parents=True)
        (place / "precious").touch()
    script = 'for d in "$0" "$1"; do mount --bind "$d" "$d"; done; shift 1; "$@"'
    document = json.dumps({"stages": [{"name": "org.osbuild.noop", "options": {"n": 1}}]})
    argv = [bench.account.python, "-m", "runner", *bench.argv()]
    done = bench.account.run(["unshare", "--mount", "sh", "-ec", script, *places, *argv], input=document)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("is a mount point") == 2
    assert all((place / "precious").exists() for place in places)


def test_archives_of_difficult_trees_are_readable_by_others(bench: Bench) -> None:
    """By bsdtar, which has no limit for paths."""
    bench.program("make", MAKE + TREES["1,500 levels"])
    assert bench.run("make").returncode == 0
    (archive,) = (bench.store / "layers").glob("*.tar.zst")
    names = subprocess.run(["bsdtar", "-tf", archive], check=True, capture_output=True).stdout.splitlines()
    assert len(names) == len(set(names))
    assert b"/".join([b"directory"] * 1500) + b"/file" in names
