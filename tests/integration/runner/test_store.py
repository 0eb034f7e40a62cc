"""What the store promises: trees come back entry by entry, damage is found, kills and crowds do no harm."""

import io
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Account, make_account, remove
from tests.integration.runner.conftest import Bench, Ran, step

# Everything a tree can hold; nobody may make device nodes, so they are placeholders.
NASTY = r"""
import json, os, socket, struct, sys
args = json.load(sys.stdin)
tree = args["tree"].encode()
def at(name): return tree + b"/" + name
def put(name, data=b"", mode=0o644, uid=0, gid=0):
    with open(at(name), "wb") as f: f.write(data)
    os.chown(at(name), uid, gid); os.chmod(at(name), mode); os.utime(at(name), ns=(1, 1234567890123456789))
os.chmod(tree, 0o750)
for name, mode in ((b"plain", 0o755), (b"sticky", 0o1777), (b"setgid", 0o2770), (b"empty dir", 0o700)):
    os.mkdir(at(name)); os.chmod(at(name), mode)
put(b"setuid", b"x", 0o4755); put(b"owned", b"y", 0o640, 1000, 65534); put(b"secret", b"z", 0)
for name in (b"with space", b"new\nline", b"\xff\xfe not utf-8", b"-dash", b"quote'\"\\", b"*", b"a" * 255):
    put(b"plain/" + name, name)
os.makedirs(at(b"/".join([b"d" * 60] * 8)))
os.link(at(b"owned"), at(b"plain/link")); os.symlink(b"/etc/nowhere", at(b"dangling")); os.lchown(at(b"dangling"), 5, 6)
os.link(at(b"dangling"), at(b"dangling2"))
os.mkfifo(at(b"fifo"), 0o600)
with open(at(b"sparse"), "wb") as f: f.truncate(50 << 20); f.seek(25 << 20); f.write(b"middle")
os.setxattr(at(b"plain"), "user.note", b"bin\0ary"); os.setxattr(at(b"owned"), "user.e", b"")
os.setxattr(at(b"setuid"), "security.capability", struct.pack("<IIIII", 0x02000001, 0x2000, 0, 0, 0))
acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in
    ((1, 7, 0xffffffff), (2, 5, 1000), (4, 5, 0xffffffff), (16, 5, 0xffffffff), (32, 0, 0xffffffff)))
os.setxattr(at(b"sticky"), "system.posix_acl_access", acl)
for name, mode, device in ((b"null", 0o666, b"c 1 3"), (b"disk", 0o4660, b"b 259 70000")):
    put(name, b"", mode, 7, 8); os.setxattr(at(name), "user.osbuild-compose.device", device)
"""
# Deletes and replaces, so that the next layer has whiteouts and opaque directories.
REPLACE = r"""
import json, os, shutil, sys
tree = json.load(sys.stdin)["tree"].encode()
shutil.rmtree(tree + b"/plain"); os.mkdir(tree + b"/plain"); open(tree + b"/plain/fresh", "w").close()
os.unlink(tree + b"/fifo"); os.rmdir(tree + b"/empty dir"); open(tree + b"/empty dir", "w").close()
os.unlink(tree + b"/secret"); os.mkdir(tree + b"/secret")
"""
LIST = r"""
import hashlib, json, os, stat, sys
tree = json.load(sys.stdin)["tree"].encode()
found, first = {}, {}
def look(path, name):
    i = os.lstat(path)
    entry = {"mode": oct(i.st_mode), "owner": [i.st_uid, i.st_gid], "mtime": i.st_mtime_ns}
    if not stat.S_ISDIR(i.st_mode):
        entry["same as"] = first.setdefault((i.st_dev, i.st_ino), name)
    if stat.S_ISREG(i.st_mode):
        entry["size"] = i.st_size; entry["sha"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
        if i.st_size > 1 << 20: entry["sparse"] = i.st_blocks * 512 < i.st_size
    if stat.S_ISLNK(i.st_mode): entry["target"] = os.fsdecode(os.readlink(path))
    if stat.S_ISCHR(i.st_mode) or stat.S_ISBLK(i.st_mode): entry["device"] = i.st_rdev
    names = [n for n in os.listxattr(path, follow_symlinks=False) if ".overlay." not in n]
    entry["xattrs"] = {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in sorted(names)}
    found[name] = entry
look(tree, ".")
for d, dirs, files in os.walk(tree):
    dirs.sort()
    for n in sorted(dirs + files):
        p = os.path.join(d, n); look(p, os.fsdecode(os.path.relpath(p, tree)))
print(json.dumps(found, sort_keys=True))
"""


def prepare(bench: Bench) -> None:
    bench.program("nasty", NASTY)
    bench.program("replace", REPLACE)
    bench.program("list", LIST)


def listing(ran: Ran) -> dict[str, Any]:
    assert ran.returncode == 0, ran.result.get("error")
    return dict(json.loads(ran.output()))


def forget_scratch(bench: Bench) -> None:
    remove(bench.scratch)


def test_a_tree_comes_back_from_its_archives_entry_by_entry(any_bench: Bench) -> None:
    bench = any_bench
    prepare(bench)
    for stages in (["nasty"], ["nasty", "replace"]):
        fresh = listing(bench.run(*stages, ("list", {"n": len(stages)})))
        forget_scratch(bench)
        ran = bench.run(*stages, ("list", {"n": len(stages), "again": True}))
        assert [s["cached"] for s in ran.result["stages"]] == [*[True] * len(stages), False]
        assert listing(ran) == fresh
        assert len(fresh) >= 20
    assert "plain/link" not in fresh
    assert fresh["plain/fresh"]
    assert fresh["secret"]["mode"] == "0o40755"


def test_layers_serve_other_kinds_of_trees_and_accounts(scratch_room: Path, installed: Path) -> None:
    """What one account made with overlays is what the other finds, with overlays or without."""
    place = scratch_room / "sharing"
    place.mkdir()
    accounts = {kind: make_account(kind, scratch_room, installed) for kind in ("root", "user")}
    for maker, making in accounts.items():
        made = Bench(making, own(making, place / f"by-{maker}"))
        prepare(made)
        expected = listing(made.run("nasty", "replace", "list"))
        for reader, account in accounts.items():
            for overlay in (True, False):
                there = own(account, place / f"{maker}-{reader}-{overlay}")
                bench = Bench(account, there, overlay=overlay)
                shutil.copytree(made.store, bench.store)
                shutil.copytree(made.place / "lib", there / "lib")
                subprocess.run(["chown", "-R", account.name, there], check=True)
                ran = bench.run("nasty", "replace", ("list", {"as": reader}))
                assert [s["cached"] for s in ran.result["stages"]] == [True, True, False]
                assert listing(ran) == expected


# Changes one placeholder, renames one and removes one; one is a hard link, and some are none.
TOUCH = r"""
import json, os, sys
tree = json.load(sys.stdin)["tree"].encode()
os.chown(tree + b"/null", 7, 8); os.rename(tree + b"/disk", tree + b"/new\nname \xff"); os.unlink(tree + b"/gone")
"""
DEVICES = r"""
import json, os, sys
tree = json.load(sys.stdin)["tree"].encode()
def make(name, mode, value, data=b""):
    with open(tree + b"/" + name, "xb") as f: f.write(data)
    os.chmod(tree + b"/" + name, mode); os.setxattr(tree + b"/" + name, "user.osbuild-compose.device", value)
    os.utime(tree + b"/" + name, ns=(1, 1234567890123456789))
make(b"null", 0o666, b"c 1 3"); make(b"disk", 0o4660, b"b 4095 1048575"); make(b"gone", 0o600, b"c 4 64")
make(b" space ", 0o640, b"c 300 70000"); os.link(tree + b"/ space ", tree + b"/z link")
for number, value in enumerate((b"", b"c", b"c 1", b"c 1 3 ", b"d 1 3", b"c -1 3", b"c 1 1048576", b"b 4096 1",
                                b"c " + b"9" * 900 + b" 1", b"c 1 3\n", b"\xff\xfe 1 1")):
    make(b"none %d" % number, 0o600, value)
make(b"none: not empty", 0o600, b"c 1 3", b"x")
"""


@pytest.mark.parametrize("overlay", [True, False])
def test_device_nodes_pass_through_the_hands_of_everybody(scratch_room: Path, installed: Path, overlay: bool) -> None:
    """Trees have placeholders, archives have the nodes, whoever makes and reads them."""
    root, user = (make_account(kind, scratch_room, installed) for kind in ("root", "user"))
    place = scratch_room / f"devices-{overlay}"
    place.mkdir()
    made = Bench(root, own(root, place / "root"), overlay)
    prepare(made)
    made.program("devices", DEVICES)
    made.program("touch", TOUCH)
    fresh = listing(made.run("devices", "list"))
    assert fresh["z link"]["same as"] == " space "
    held = members(made)
    expected = {"./null": ("3", 1, 3), "./disk": ("4", 4095, 1048575), "./gone": ("3", 4, 64)}
    assert {f"./{name}": found[:3] for name, found in held.items() if found[0] in "34"} == {
        **expected,
        "./ space ": ("3", 300, 70000),
    }
    assert held["z link"][0] == "1"
    assert held["disk"][3:] == (0o4660, 1234567890.123457)
    assert [found[0] for name, found in held.items() if name.startswith("none")] == ["0"] * 12

    there = hand_over(made, user, place / "user")
    assert listing(there.run("devices", ("list", {"as": "user"}))) == fresh
    assert there.run("devices", "touch").returncode == 0
    remove(there.scratch)  # the layers come from their archives again
    assert listing(there.run("devices", "touch", ("list", {"n": 1})))["null"]["owner"] == [7, 8]

    back = hand_over(there, root, place / "back")
    ran = back.run("devices", "touch", ("list", {"as": "root"}))
    assert ran.returncode == 0, ran.result["error"]
    assert [stage["cached"] for stage in ran.result["stages"]] == [True, True, False]
    last = listing(ran)
    assert last["null"] == {**fresh["null"], "owner": [7, 8]}
    odd = os.fsdecode(b"new\nname \xff")
    assert last[odd] == {**fresh["disk"], "same as": odd}
    assert "gone" not in last


def members(bench: Bench) -> dict[str, tuple[str, int, int, int, float]]:
    """The entries of the largest layer of a store by path: type, numbers, mode and time."""
    archive = max((bench.store / "layers").glob("*.zst"), key=lambda path: path.stat().st_size)
    data = subprocess.run(["zstd", "-dc", archive], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {
            one.name.removeprefix("./"): (one.type.decode(), one.devmajor, one.devminor, one.mode, round(one.mtime, 6))
            for one in tar
        }


def hand_over(bench: Bench, account: Account, place: Path) -> Bench:
    """The store and the programs for another account, in a new place of its own."""
    there = Bench(account, own(account, place), bench.overlay)
    shutil.copytree(bench.store, there.store)
    shutil.copytree(bench.place / "lib", place / "lib")
    subprocess.run(["chown", "-R", account.name, place], check=True)
    return there


def own(account: Account, directory: Path) -> Path:
    directory.mkdir()
    if os.geteuid() == 0:
        shutil.chown(directory, account.name)
    return directory


def test_a_flipped_byte_is_found_reported_and_repaired(any_bench: Bench) -> None:
    bench = any_bench
    prepare(bench)
    expected = listing(bench.run("nasty", "replace", "list"))
    archive = max((bench.store / "layers").glob("*.zst"), key=lambda path: path.stat().st_size)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 0x10
    archive.write_bytes(data)
    forget_scratch(bench)
    document = json.dumps({"stages": [step("nasty"), step("replace"), step(("list", {"again": 1}))]})
    done = bench.account.runner(*bench.argv(), input=document)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was damaged; it is made again" in done.stdout
    assert listing(bench.run("nasty", "replace", ("list", {"again": 2}))) == expected


@pytest.mark.parametrize("damage", ["truncate", "remove", "metadata"])
def test_a_lost_or_torn_file_of_the_store_is_made_again(any_bench: Bench, damage: str) -> None:
    bench = any_bench
    prepare(bench)
    expected = listing(bench.run("nasty", "list"))
    archive = max((bench.store / "layers").glob("*.zst"), key=lambda path: path.stat().st_size)
    if damage == "truncate":
        os.truncate(archive, 100)
    elif damage == "remove":
        archive.unlink()
    else:
        Path(str(archive).replace(".tar.zst", ".json")).write_text("")
    forget_scratch(bench)
    assert listing(bench.run("nasty", ("list", {"again": 1}))) == expected


SLOW = "import json, sys, time; o = json.load(sys.stdin)['options']; time.sleep(o['seconds']); print('ran', o)"


def test_two_builds_at_once_share_the_work(bench: Bench) -> None:
    bench.program("slow", SLOW)
    results: list[Ran] = []
    stages = [("slow", {"seconds": 1.0, "n": n}) for n in range(3)]
    threads = [threading.Thread(target=lambda: results.append(bench.run(*stages))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ran.returncode for ran in results] == [0, 0, 0]
    ran_it = [stage["options"]["n"] for ran in results for stage in ran.result["stages"] if not stage["cached"]]
    assert sorted(ran_it) == [0, 1, 2]


def test_waiting_for_another_build_can_be_interrupted(bench: Bench) -> None:
    bench.program("slow", SLOW)
    document = json.dumps({"stages": [step(("slow", {"seconds": 300}))]})
    argv = bench.account.argv([bench.account.python, "-m", "runner", *bench.argv()])
    processes = []
    for word in ("slow: ", "waiting for another build of slow"):
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=bench.account.environment(),
            cwd=bench.place,
        )
        assert process.stdin
        assert process.stdout
        process.stdin.write(document)
        process.stdin.close()
        assert word in process.stdout.readline()
        processes.append(process)
    for process in reversed(processes):
        process.terminate()
        assert process.wait(timeout=300) == 128 + signal.SIGTERM
        assert process.stdout
        process.stdout.close()


CHAIN = [("grow", {"n": n}) for n in range(8)]
GROW = r"""
import json, os, sys, time
args = json.load(sys.stdin); n = args["options"]["n"]
for i in range(40):
    os.makedirs(f"{args['tree']}/{n}/{i}"); open(f"{args['tree']}/{n}/{i}/file", "w").write("x" * 3000 * (i + n))
time.sleep(0.02)
"""
TOTAL = r"""
import hashlib, json, os, sys
args = json.load(sys.stdin); h = hashlib.sha256()
for d, dirs, files in os.walk(args["tree"]):
    dirs.sort()
    for n in sorted(files):
        p = os.path.join(d, n); h.update(os.path.relpath(p, args["tree"]).encode() + open(p, "rb").read())
open(args["output_dir"] + "/image", "w").write(h.hexdigest())
"""


@pytest.fixture
def chained(any_bench: Bench) -> Bench:
    any_bench.program("grow", GROW)
    any_bench.program("total", TOTAL, kind="assemblers")
    return any_bench


def test_killed_at_any_moment_it_goes_on_after_the_finished_stages(chained: Bench) -> None:
    """15 kills for each of two accounts and two kinds of trees; the store, the result and the machine stay whole."""
    bench = chained
    out = bench.place / "out"
    reference = Bench(bench.account, own(bench.account, bench.place / "reference"), overlay=bench.overlay)
    shutil.copytree(bench.place / "lib", reference.place / "lib")
    assert reference.run(*CHAIN, assembler="total", args=("--output-directory", out)).returncode == 0
    expected = (out / "image").read_text()
    (out / "image").unlink()
    document = json.dumps({"stages": [step(s) for s in CHAIN], "assembler": step("total")})
    argv = bench.account.argv([bench.account.python, "-m", "runner", *bench.argv("--output-directory", out)])
    chance = random.Random(20261123)
    kept = 0
    for number in range(15):
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=bench.account.environment(), cwd=bench.place
        ) as process:
            assert process.stdin
            process.stdin.write(document.encode())
            process.stdin.close()
            time.sleep(chance.uniform(0.05, 0.9))
            process.kill()
        layers = len(list((bench.store / "layers").glob("*.json"))) if bench.store.exists() else 0
        assert layers >= kept, "a finished layer was lost"
        kept = layers
        if (out / "image").exists():  # it came to the end: begin again, with another set of layers to lose
            assert (out / "image").read_text() == expected
            (out / "image").unlink()
            if number % 2:
                remove(bench.store)
                kept = 0
    assert mounts_below(bench.place) == []
    assert bench.run(*CHAIN, assembler="total", args=("--output-directory", out)).returncode == 0
    assert (out / "image").read_text() == expected
    # The next run that has something to do sweeps up what the last kill left.
    assert bench.run(*CHAIN, "org.osbuild.noop").returncode == 0
    assert list((bench.store / "tmp").iterdir()) == []
    assert list(bench.scratch.glob("tmp-*")) == []


def mounts_below(place: Path) -> list[str]:
    return [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(place) in line]


@pytest.mark.parametrize("full", ["store", "output", "scratch"])
def test_a_full_disk_is_reported_and_leaves_nothing_half_made(bench: Bench, full: str) -> None:
    """With the store, the output directory or scratch on a file system of 24 MiB."""
    code = "import json, sys; t = json.load(sys.stdin); open(t.get('output_dir', t['tree']) + '/big', 'wb').write({})"
    bench.program("big", code.format("bytes(1000) + __import__('os').urandom(64 << 20)"))
    bench.program("big", code.format("__import__('os').urandom(64 << 20)"), kind="assemblers")
    small = own(bench.account, bench.place / "small")
    place = {name: (small if name == full else bench.place) / name for name in ("store", "output", "scratch")}
    args = [bench.account.python, "-m", "runner", "--libdir", bench.place / "lib", "--json"]
    args += ["--store", place["store"], "--scratch", place["scratch"], "--output-directory", place["output"], "-"]
    document = {"assembler": step("big")} if full == "output" else {"stages": [step("big")], "assembler": step("big")}
    enter = (
        ["unshare", "--mount"]
        if bench.account.is_root
        else ["unshare", "--user", "--map-auto", "--map-root-user", "--mount"]
    )
    script = (
        f'mount -t tmpfs -o size=24M,mode=755 none {small}; "$@"; s=$?; ls -A {small}/output 2>/dev/null >&2; exit $s'
    )
    done = bench.account.run([*enter, "sh", "-c", script, "sh", *args], input=json.dumps(document))
    result = json.loads(done.stdout)
    assert done.returncode == 1, done.stdout
    assert "space" in json.dumps(result["error"]).lower()
    assert "Traceback" not in done.stderr + json.dumps(result["error"]) or full != "output"
    if full == "output":
        assert done.stderr.strip() == ""
    else:
        assert not place["output"].exists()
