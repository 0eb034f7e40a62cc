"""Signals at random moments: everything is gone soon, with the right exit code and without a traceback.

COMPOSE_TEST_SIGNALS in the environment is how many moments are tried in each test; there are few by default. Seeds are
printed by failing tests and can be given in COMPOSE_TEST_SEED.
"""

import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Account
from tests.integration.runner.conftest import Bench, any_bench  # noqa: F401 - a fixture
from tests.integration.runner.source_files import manifest, serving

MOMENTS = int(os.environ.get("COMPOSE_TEST_SIGNALS", "8"))
SEED = int(os.environ.get("COMPOSE_TEST_SEED", "0")) or random.randrange(1 << 32)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 60.0  # seconds; the limit is 2, on a machine that does nothing else
STARTING = 0.5  # seconds of Python's start at worst
PR_SET_CHILD_SUBREAPER = 36

# A stage that takes some time, writes files and has processes of its own.
BUSY = """
import json, os, subprocess, sys, time
args = json.load(sys.stdin)
for number in range(100):
    open(f"{args['tree']}/{args['options']['name']}-{number}", "w").write("x" * 5000)
child = subprocess.Popen(["sleep", "300"])
time.sleep(0.05)
child.kill()
"""
# An assembler whose output is not small.
PACK = """
import json, os, sys
args = json.load(sys.stdin)
with open(args["output_dir"] + "/image", "wb") as out:
    for _ in range(20):
        out.write(os.urandom(1 << 20))
"""


def descendants() -> set[int]:
    """The processes that this one has started, and those that they have, if they run; orphans are adopted."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(entry.name))
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found.update(below)
        todo += below
    return found


def takes(pid: int, what: signal.Signals) -> bool:
    """Whether the process handles the signal or keeps it for later: on a busy machine it starts slowly."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        masks = [int(line.split()[1], 16) for line in lines if line.startswith(("SigBlk:", "SigCgt:"))]
        return any(mask >> (what - 1) & 1 for mask in masks)
    return False


@pytest.fixture(scope="module", autouse=True)
def _adopted() -> Iterator[None]:
    """Whatever loses its parent becomes a child of this process."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)


@dataclass(frozen=True)
class Case:
    """A command, its standard input, and how long it takes about, in seconds."""

    argv: list[str | Path]
    given: str = ""
    seconds: float = 1.5


def attack(account: Account, cwd: Path, make: Callable[[int], Case]) -> None:
    """Send signals to commands, each at a random moment, to the process or to its group."""
    chance = random.Random(SEED)
    slowest = 0.0
    for number in range(MOMENTS):
        case = make(number)
        what = chance.choice(SIGNALS)
        to_group = chance.random() < 0.5
        delay = chance.uniform(0, case.seconds)
        slowest = max(slowest, try_once(account, cwd, case, what, to_group, delay))
    print(f"{MOMENTS} moments; the slowest end took {slowest:.2f} s")


def try_once(account: Account, cwd: Path, case: Case, what: signal.Signals, to_group: bool, delay: float) -> float:
    """Returns how long it took until everything was gone, in seconds."""
    about = f"{what.name} to {'the group' if to_group else 'the process'} after {delay:.4f} s, seed {SEED}: {case.argv}"
    before = descendants()
    process = subprocess.Popen(
        account.argv(["env", "--default-signal", *case.argv]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=account.environment(),
        process_group=0,
    )
    try:
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(case.given.encode())
            process.stdin.close()
        process.stdin = None
        time.sleep(delay)
        ended = process.poll() is not None
        early = delay < STARTING or not takes(process.pid, what)
        if not ended:
            (os.killpg if to_group else os.kill)(process.pid, what)
        started = time.monotonic()
        try:
            _, err = process.communicate(timeout=PATIENCE if not ended else 60)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{about}: not everything has ended after {PATIENCE} s")
        said = err.decode(errors="replace")
        while (left := descendants() - before) and time.monotonic() - started < PATIENCE:
            time.sleep(0.01)
        assert not left, f"{about}: left {[describe(pid) for pid in left]}"
        took = time.monotonic() - started
        assert "Traceback" not in said, f"{about}: {said}"
        assert "Exception" not in said, f"{about}: {said}"
        if not ended:
            # Until Python lets us handle it, a signal kills; shells show both in the same way.
            killed = [-what] if early else []
            assert process.returncode in (128 + what, 0, *killed), f"{about}: {process.returncode} {said}"
        return took if not ended else 0.0
    finally:
        for pid in descendants() - before:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # orphans that were adopted


def describe(pid: int) -> str:
    with contextlib.suppress(OSError):
        return f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
    return str(pid)


def pipelines(number: int, count: int = 2) -> list[dict[str, object]]:
    """Pipelines of some stages, different ones for each number."""
    return [
        {
            "stages": [{"name": "busy", "options": {"name": f"{number}-{one}-{step}"}} for step in range(3)],
            "assembler": {"name": "pack", "options": {"name": f"{number}-{one}"}},
        }
        for one in range(count)
    ]


def prepared(bench: Bench) -> Bench:
    bench.program("busy", BUSY)
    bench.program("pack", PACK, kind="assemblers")
    return bench


def write(bench: Bench, number: int, count: int = 2) -> list[Path]:
    paths = []
    for one, document in enumerate(pipelines(number, count)):
        paths.append(bench.place / f"{one}.json")
        paths[-1].write_text(json.dumps(document))
    return paths


def runner(bench: Bench, *args: str | Path) -> list[str | Path]:
    out = ["--output-directory", bench.place / "out"]
    # As it is installed. What Python does on SIGINT while it starts cannot be helped where it is started directly.
    return [bench.account.python.parent / "compose-runner", *bench.argv(*out, *args)[:-1]]


def check_store(bench: Bench) -> None:
    """The next build works, and nothing in the store is damaged."""
    (bench.place / "last.json").write_text(json.dumps(pipelines(0, 1)[0]))
    done = bench.account.run([*runner(bench), bench.place / "last.json"], cwd=bench.place)
    assert done.returncode == 0, done.stderr
    done = bench.account.compose("cache", "verify", "--store", bench.store)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (bench.place / "out").iterdir()) == ["image"]
    assert list((bench.store / "tmp").iterdir()) == []


def test_the_runner_alone(any_bench: Bench) -> None:  # noqa: F811
    bench = prepared(any_bench)
    attack(bench.account, bench.place, lambda number: Case([*runner(bench), *write(bench, number, 1)]))
    check_store(bench)


def test_several_pipelines_at_a_time(bench: Bench) -> None:
    prepared(bench)
    attack(
        bench.account,
        bench.place,
        lambda number: Case([*runner(bench, "--jobs", "2"), *write(bench, number)], seconds=2.0),
    )
    check_store(bench)


def test_the_frontend(bench: Bench) -> None:
    prepared(bench)

    def case(number: int) -> Case:
        argv = [bench.account.python.parent / "compose", "run", *write(bench, number, 1), "--store", bench.store]
        return Case([*argv, "--libdir", bench.place / "lib", "-o", bench.place / "out"], seconds=2.0)

    attack(bench.account, bench.place, case)
    check_store(bench)


def test_what_is_cached(bench: Bench) -> None:
    """Nothing is run, and the image is copied to another file system."""
    prepared(bench)
    paths = write(bench, 0, 1)
    done = bench.account.run([*runner(bench), *paths], cwd=bench.place)
    assert done.returncode == 0, done.stderr
    attack(bench.account, bench.place, lambda _: Case([*runner(bench), *paths], seconds=0.4))
    check_store(bench)


def test_fetching(bench: Bench) -> None:
    """From a server that sends a part and then nothing."""
    prepared(bench)
    with serving() as server:

        def case(number: int) -> Case:
            checksum, url = server.add(f"{number}", f"{number}".encode() * (1 << 20))
            server.cut = 1 << 16
            server.stalls.add(f"/{number}")
            document = bench.place / "fetching.json"
            document.write_text(json.dumps(manifest(bench, {checksum: url}, [checksum])))
            return Case([*runner(bench), *write(bench, number, 1), document], seconds=2.0)

        attack(bench.account, bench.place, case)
    check_store(bench)


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("distros",),
        ("check", "{blueprint}"),
        ("render", "{blueprint}"),
        ("plan", "{blueprint}", "--store", "{store}"),
        ("cache", "ls", "--store", "{store}"),
        ("cache", "verify", "--store", "{store}"),
        ("cache", "prune", "--keep", "1G", "--store", "{store}"),
    ],
    ids=lambda words: "-".join(word for word in words if word.isalpha()) or "help",
)
def test_short_commands(bench: Bench, words: tuple[str, ...]) -> None:
    prepared(bench)
    done = bench.account.run([*runner(bench), *write(bench, 0, 1)], cwd=bench.place)
    assert done.returncode == 0, done.stderr
    blueprint = bench.place / "a.yaml"
    blueprint.write_text("name: a\ndistro: debian-12\n")
    argv = [word.format(blueprint=blueprint, store=bench.store) for word in words]
    compose = bench.account.python.parent / "compose"
    attack(bench.account, bench.place, lambda _: Case([compose, *argv], seconds=0.5))


def test_a_machine_that_is_booted(bench: Bench) -> None:
    """It boots nothing, and waits."""
    image = bench.place / "image.raw"
    with image.open("wb") as file:
        file.truncate(1 << 20)
    compose = bench.account.python.parent / "compose"
    attack(bench.account, bench.place, lambda _: Case([compose, "boot", image], seconds=3.0))
