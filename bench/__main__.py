"""Benchmark: our build times and those of other tools, interleaved, as ratios of medians (`make bench`).

Everything runs in one directory, by default on tmpfs so that the age of a disk is not measured. Each time is given in
wall seconds and in processor seconds of all child processes. Nothing here is a test: machines differ, ratios less so.
"""

import argparse
import contextlib
import ctypes
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import peers

REPO = Path(__file__).resolve().parent.parent
COMPOSE = Path(sys.executable).with_name("compose")
BLUEPRINT = REPO / "blueprints" / "debian-web-server.yaml"
SMALL_PACKAGE = "tree"
NOOPS = 20
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass
class Series:
    """Repeated measurements of one command, in seconds."""

    name: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class Bench:
    """Measures commands in a working directory."""

    def __init__(self, work: Path) -> None:
        """work is an empty directory."""
        self.work = work
        self.series: dict[str, Series] = {}
        self.slack_note = ""

    def measure(self, name: str, argv: Sequence[object], stdin: str | None = None) -> str:
        """Run a command and record its time; return its standard error. Exits if the command fails."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        done = subprocess.run(
            list(map(str, argv)), input=stdin, text=True, check=False, capture_output=True, cwd=self.work
        )
        wall = time.monotonic() - started
        _reap()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit(f"{name}: {argv[0]} failed with {done.returncode}:\n{done.stderr[-2000:]}")
        series = self.series.setdefault(name, Series(name))
        series.wall.append(wall)
        series.cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(f"  {name}: {wall:.2f} s", file=sys.stderr, flush=True)
        return done.stderr

    def note(self, name: str, wall: float) -> None:
        """Record a time that the command itself reported."""
        self.series.setdefault(name, Series(name)).wall.append(wall)

    def slack(self, tree: str) -> None:
        """Record how much larger the image is than the blocks of the tree's files."""
        image = self.work / "out" / f"{BLUEPRINT.stem}.qcow2"
        files = {}
        for above, _, names in os.walk(self.work / "tree" / tree):
            for info in (os.lstat(os.path.join(above, name)) for name in names):
                files[info.st_dev, info.st_ino] = -(-min(info.st_size, info.st_blocks * 512) // 4096) * 4096
        size, data = image.stat().st_blocks * 512, sum(files.values())
        self.slack_note = (
            f"The image has {size} bytes, the blocks of its files {data}: {100 * size / data - 100:.1f} % more."
        )

    def fresh(self, name: str) -> Path:
        """An empty directory."""
        path = self.work / name
        subprocess.run(["rm", "-rf", "--one-file-system", "--", path], check=False)
        path.mkdir()
        return path


def _adopt() -> None:
    """Become the parent of orphans: bubblewrap exits before its sandbox does, whose time would be lost."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


def _reap() -> None:
    """Wait for all adopted children."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def source_of(blueprint: Path) -> peers.Source:
    """What the blueprint's pipeline installs, so that the other tools install the same."""
    rendered = subprocess.run([COMPOSE, "render", blueprint], check=True, capture_output=True, text=True).stdout
    stages = [stage["options"] for stage in json.loads(rendered)["stages"] if stage["name"].endswith(".apt")]
    repositories = stages[0]["repositories"]
    lines = [
        f"deb {repository['url']} {suite} {' '.join(repository['components'])}"
        for repository in repositories
        for suite in repository["suites"]
    ]
    packages = tuple(package for stage in stages for package in stage["packages"])
    valid = all(repository.get("check_valid_until", True) for repository in repositories)
    return peers.Source(tuple(lines), packages, stages[0]["architecture"], valid)


def edited(work: Path, name: str, change: Callable[[str], str]) -> Path:
    """A copy of the blueprint with a change."""
    path = work / f"{name}.yaml"
    path.write_text(change(BLUEPRINT.read_text()))
    return path


def one_round(bench: Bench, source: peers.Source, number: int, *, others: bool) -> None:
    """Run everything once, ours and theirs in turn. A new store has no scratch either, so the first build is cold."""
    store = bench.fresh("store")
    out = ["-o", str(bench.work / "out"), "--store", str(store)]
    original = edited(bench.work, "web", lambda text: text)
    bench.measure("compose build, cold", [COMPOSE, "build", original, *out])
    bench.measure("compose build, nothing changed", [COMPOSE, "build", original, *out])
    page = edited(bench.work, "web", lambda text: text.replace("Made by", f"Made {number} by"))
    output = bench.measure("compose build, a page changed", [COMPOSE, "build", page, *out])
    bench.note("of that the assembler", assembler_seconds(output))
    more = edited(bench.work, "web", lambda text: text.replace("sudo]", f"sudo, {SMALL_PACKAGE}]", 1))
    bench.measure("compose build, a package added", [COMPOSE, "build", more, *out])
    pipeline = subprocess.run([COMPOSE, "render", more], check=True, capture_output=True, text=True).stdout
    runner = [sys.executable, "-m", "runner"]
    bench.measure("runner, nothing changed", [*runner, "--store", store, "-"], pipeline)
    if os.geteuid() == 0:
        tree_id = json.loads(subprocess.check_output([*runner, "--inspect", "-"], input=pipeline, text=True))["tree_id"]
        export = ["--export", tree_id, "--output-directory", bench.fresh("tree"), "-"]
        subprocess.run([*runner, "--store", store, *export], input=pipeline, text=True, check=True, capture_output=True)
        bench.measure(
            "mke2fs -d + qemu-img of the same tree",
            peers.plain_image(bench.work / "tree" / tree_id, bench.fresh("peer")),
        )
        bench.slack(tree_id)
        bench.fresh("tree")
    stages = [{"name": "org.osbuild.noop", "options": {"number": n}} for n in range(NOOPS)]
    where = ["--store", bench.fresh("noops"), "--scratch", bench.fresh("noop-scratch"), "-"]
    bench.measure(f"runner, {NOOPS} noop stages", [*runner, *where], json.dumps({"stages": stages}))
    bench.measure("compose check", [COMPOSE, "check", original])
    bench.measure("compose render", [COMPOSE, "render", original])
    bench.measure("compose plan", [COMPOSE, "plan", original, "--store", store])
    bench.measure("compose --help", [COMPOSE, "--help"])
    if others:
        bench.measure("mmdebstrap to a tarball", peers.mmdebstrap(source, bench.fresh("peer") / "tree.tar"))
        bench.measure("mmdebstrap + mke2fs + qcow2", peers.with_image(source, bench.fresh("peer")))
        if command := peers.debos(source, bench.fresh("peer")):
            bench.measure("debos to a tarball", command)
        bench.fresh("peer")


def assembler_seconds(output: str) -> float:
    """The time of the last step in the output of `compose build`: "[12/12] org.osbuild.qemu: 2.1 s"."""
    found = re.findall(r"^\[\d+/\d+\] \S+: ([\d.]+) s", output, re.MULTILINE)
    if not found:
        sys.exit(f"no assembler time in:\n{output}")
    return float(found[-1])


def report(series: Sequence[Series]) -> str:
    """The table as Markdown, with ratios to mmdebstrap + mke2fs + qcow2 if that was measured."""
    medians = {one.name: statistics.median(one.wall) for one in series}
    floor = medians.get("mmdebstrap + mke2fs + qcow2")
    rows = ["| what | wall s: min, median, max | CPU s | ratio |", "|---|---|---|---|"]
    for one in series:
        ratio = f"{medians[one.name] / floor:.2f}" if floor else ""
        wall = f"{min(one.wall):.2f}, {medians[one.name]:.2f}, {max(one.wall):.2f}"
        cpu = f"{statistics.median(one.cpu):.1f}" if one.cpu else ""
        rows.append(f"| {one.name} | {wall} | {cpu} | {ratio} |")
    noops = medians.get(f"runner, {NOOPS} noop stages")
    if noops:
        rows.append(f"\nOne trivial stage: {noops / NOOPS * 1000:.0f} ms, start of the runner included.")
    return "\n".join(rows)


def main() -> None:
    """The command line."""
    parse = argparse.ArgumentParser(prog="python3 -m bench", description="Measure our builds and those of other tools")
    parse.add_argument("-n", "--rounds", type=int, default=3, help="number of rounds (default: 3)")
    parse.add_argument("--only-ours", action="store_true", help="leave the other tools out")
    parse.add_argument("--directory", default="/dev/shm", help="where to work (default: /dev/shm)")
    args = parse.parse_args()
    load = os.getloadavg()[0]
    _adopt()
    source = source_of(BLUEPRINT)
    with tempfile.TemporaryDirectory(prefix="osbuild-compose-bench-", dir=args.directory) as work:
        bench = Bench(Path(work))
        try:
            for number in range(args.rounds):
                print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
                one_round(bench, source, number, others=not args.only_ours)
        except KeyboardInterrupt:
            print("interrupted; results so far:", file=sys.stderr)
    print(report(list(bench.series.values())))
    print(f"\n{bench.slack_note}")
    now = os.getloadavg()[0]
    print(f"\nLoad (1 minute) before and after: {load:.1f} and {now:.1f}, on {os.cpu_count()} processors.")


if __name__ == "__main__":
    main()
