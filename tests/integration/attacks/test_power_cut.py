"""After a power cut, an image is right or made again: the disk is copied in the middle of its work, without a sync.

The copy has what the file system had written until then: names of files whose content was still in memory. It is
mounted in place of the disk, as after a restart of the machine with another boot id.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Account
from tests.integration.runner.conftest import Bench, step

GROW = r"""
import json, os, sys
args = json.load(sys.stdin); n = args["options"]["n"]
for i in range(40):
    os.makedirs(f"{args['tree']}/{n}/{i}"); open(f"{args['tree']}/{n}/{i}/file", "w").write(f"{n} {i} " * 2000)
"""
TOTAL = r"""
import hashlib, json, os, sys
args = json.load(sys.stdin); h = hashlib.sha256()
for d, dirs, files in os.walk(args["tree"]):
    dirs.sort()
    for n in sorted(files):
        p = os.path.join(d, n); h.update(os.path.relpath(p, args["tree"]).encode() + open(p, "rb").read())
with open(args["output_dir"] + "/image", "w") as file: file.write(h.hexdigest() + "\n" + "x" * 100_000)
"""
# Runs the runner as in another boot of the machine.
RUNNER = """
import sys
from pathlib import Path
from runner.store import trust
trust.BOOT_ID = Path(sys.argv.pop(1))
from runner.__main__ import main
main()
"""
# Runs in a mount namespace of its own: a disk is mounted, built on, copied, and its copy mounted in its place.
SCENARIO = r"""
import json, os, subprocess, sys, time
options = json.loads(sys.argv[1])
disk, copy, at = options["disk"], options["copy"], options["at"]
def run(*argv, **more): return subprocess.run(argv, check=True, **more)
def build(boot, pipeline):
    done = subprocess.run([*options["runner"], boot, *options["args"]], input=json.dumps(pipeline), text=True,
                          capture_output=True, env=options["env"], cwd="/")
    image = ""
    if done.returncode == 0 and "assembler" in pipeline:
        with open(f"{at}/out/image") as file: image = file.read()
    return {"code": done.returncode, "image": image, "log": done.stdout + done.stderr}
with open(disk, "wb") as file: file.truncate(400 << 20)
run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", disk)
# Names are written every second, as on any disk after a while; data later.
run("mount", "-o", "loop,commit=1,noauto_da_alloc", disk, at)
run("chown", options["user"], at)
build(options["boots"][0], options["tree"])
# Unmounting an overlay that was written to syncs its file system; unpacking layers for an assembler does not.
run("rm", "-rf", "--one-file-system", f"{at}/scratch")
run("sync", "--file-system", at)
results = [build(options["boots"][0], options["before"])]
time.sleep(options["pause"])
run("cp", "--sparse=always", disk, copy)
run("umount", at)
run("mount", "-o", "loop", copy, at)
find = ["find", at, "-type", "f", "-name", "file", "-size", "0"]
empty = subprocess.run(find, capture_output=True, text=True).stdout.splitlines()
results += [build(options["boots"][1], pipeline) for pipeline in options["after"]]
run("umount", at)
print(json.dumps({"results": results, "empty": len(empty)}))
"""


def pipeline(extra: int = 0) -> dict[str, object]:
    stages = [step(("grow", {"n": n})) for n in range(3)]
    return {
        "stages": [*stages, *([step(("org.osbuild.noop", {"n": extra}))] if extra else [])],
        "assembler": step("total"),
    }


@pytest.mark.parametrize("trees", ["overlay", "plain"])
@pytest.mark.parametrize("pause", [0.0, 2.5])
def test_a_build_after_a_power_cut(account: Account, place: Path, pause: float, trees: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root mounts disks")
    bench = Bench(account, place)
    bench.program("grow", GROW)
    bench.program("total", TOTAL, kind="assemblers")
    assert bench.run(*[("grow", {"n": n}) for n in range(3)], assembler="total",
                     args=("--output-directory", place / "expected")).returncode == 0  # fmt: skip
    expected = (place / "expected/image").read_text()
    at = place / "disk"
    at.mkdir()
    for number in range(2):
        (place / f"boot-{number}").write_text(f"00000000-0000-0000-0000-00000000000{number}\n")
    args = ["--store", at / "store", "--scratch", at / "scratch", "--libdir", place / "lib"]
    args += ["--output-directory", at / "out", *(["--no-overlay"] if trees == "plain" else []), "-"]
    options = {
        "disk": str(place / "disk.img"),
        "copy": str(place / "copy.img"),
        "at": str(at),
        "user": account.name,
        "runner": account.argv([account.python, "-c", RUNNER]),
        "args": list(map(str, args)),
        "boots": [str(place / "boot-0"), str(place / "boot-1")],
        "env": account.environment(),
        "tree": {"stages": pipeline()["stages"]},
        "before": pipeline(),
        "after": [pipeline(1), pipeline(), pipeline(2)],
        "pause": pause,
    }
    done = subprocess.run(
        ["unshare", "--mount", "/usr/bin/python3", "-c", SCENARIO, json.dumps(options)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    before, *after = found["results"]
    assert before["code"] == 0, before["log"]
    assert before["image"] == expected
    if pause and trees == "overlay":
        assert found["empty"] > 50, "the power cut did no harm, so that this shows nothing"
    for result in after:
        assert result["code"] == 0, result["log"]
        assert "Traceback" not in result["log"]
        assert result["image"] == expected


def test_scratch_of_another_boot_is_thrown_away(account: Account, place: Path) -> None:
    bench = Bench(account, place)
    bench.program("grow", GROW)
    bench.program("total", TOTAL, kind="assemblers")
    marks = []
    for number in range(3):
        boot = place / "boot"
        boot.write_text("first" if number < 2 else "second")
        argv = [account.python, "-c", RUNNER, boot, *bench.argv()]
        done = account.run(argv, input=json.dumps(pipeline(number + 1)))
        assert done.returncode == 0, done.stdout + done.stderr
        kept = subprocess.check_output(["find", bench.scratch, "-name", "file", "-printf", "%i\n"], text=True)
        marks.append(set(kept.split()))
    assert marks[0] == marks[1] != set()
    assert marks[2] != marks[0]
