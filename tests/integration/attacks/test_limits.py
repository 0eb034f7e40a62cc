"""Stages that take too long, print too much, or take the machine's memory, processes and space."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.runner.conftest import Bench, step

FLOOD = 100 << 20  # bytes
# Prints lines as fast as it can, and notes how long that took.
PRINT = f"""
import json, os, sys, time
args = json.load(sys.stdin)
started = time.monotonic()
line = b"a line of sixty-four characters, as compilers and installers print\\n"[:64]
line = line[:63] + b"\\n"
print("the first line", flush=True)
for _ in range({FLOOD} // (64 * 1024)):
    os.write(1, line * 1024)
print("the last line", flush=True)
open(args["tree"] + "/seconds", "w").write(str(time.monotonic() - started))
sys.exit(args["options"].get("status", 0))
"""


def run_measured(
    bench: Bench, document: object, *args: str | Path
) -> tuple[subprocess.CompletedProcess[str], float, float]:
    """Run a pipeline; also returns the most memory that a process of the run used, in MiB, and the processor time."""
    code = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print('used', used.ru_maxrss >> 10, used.ru_utime + used.ru_stime, file=sys.stderr); sys.exit(code)"
    )
    argv = [bench.account.python, "-c", code, bench.account.python, "-m", "runner", *bench.argv(*args)]
    done = bench.account.run(argv, input=json.dumps(document), cwd=bench.place)
    peak, seconds = done.stderr.rsplit("used", 1)[1].split()
    return done, float(peak), float(seconds)


def test_much_output_is_in_a_file_and_not_in_memory(bench: Bench) -> None:
    bench.program("print", PRINT)
    document = {"stages": [step(("print", {"status": 3}))]}
    done, peak, seconds = run_measured(bench, document, "--json")
    print(f"{FLOOD >> 20} MiB of lines: {seconds:.1f} s, {peak:.0f} MiB of memory")
    result = json.loads(done.stdout)
    assert done.returncode == 1
    assert peak < 300
    assert seconds < 60  # it took 320
    stage = result["stages"][0]
    assert len(stage["output"]) < 1 << 20
    assert stage["output"].startswith("the first line\na line of")
    assert stage["output"].endswith("\nthe last line")
    log = bench.store / "logs"
    assert stage["log"] == result["error"]["log"]
    assert Path(stage["log"]).parent == log
    assert f"bytes are left out here; all of it is in {stage['log']}" in stage["output"]
    assert Path(stage["log"]).stat().st_size == FLOOD + len("the first line\nthe last line\n")
    assert Path(stage["log"]).stat().st_mode & 0o777 == 0o600
    pruned = bench.account.compose("cache", "prune", "--keep", "1G", "--store", bench.store)
    assert pruned.returncode == 0, pruned.stderr
    assert list(log.iterdir()) == []


def test_much_output_in_events_begins_and_ends_as_it_was_printed(bench: Bench) -> None:
    bench.program("print", PRINT)
    document = {"stages": [step("print")]}
    script = f'exec {bench.account.python} -m runner "$@" --monitor-fd 3 3>&1 >&2'
    done = bench.account.run(["sh", "-c", script, "sh", *bench.argv()], input=json.dumps(document), cwd=bench.place)
    assert done.returncode == 0, done.stderr
    lines = [event["line"] for event in map(json.loads, done.stdout.splitlines()) if event["event"] == "log"]
    assert lines[0] == "the first line"
    assert lines[-1] == "the last line"
    assert any("lines skipped" in line for line in lines)
    skipped = [int(line.split()[1]) for line in lines if "lines skipped" in line]
    assert len(lines) - len(skipped) + sum(skipped) == FLOOD // 64 + 2  # none is counted twice, none is lost


def test_a_line_without_an_end(bench: Bench) -> None:
    bench.program("print", f"import os\nfor _ in range({FLOOD} >> 20): os.write(1, b'x' * (1 << 20))")
    done, peak, _ = run_measured(bench, {"stages": [step("print")]}, "--json")
    assert done.returncode == 0, done.stderr
    assert peak < 300
    assert len(json.loads(done.stdout)["stages"][0]["output"]) < 1 << 20


def test_a_stage_that_takes_too_long(bench: Bench) -> None:
    bench.program("slow", "import subprocess; print('begun', flush=True); subprocess.run(['sleep', '987654'])")
    started = time.monotonic()
    ran = bench.run("slow", args=("--stage-timeout", "2s"))
    assert time.monotonic() - started < 300  # far less than the stage would take
    assert ran.returncode == 1
    assert ran.result["error"]["message"] == "slow took longer than 2 s"
    assert "--stage-timeout" in ran.result["error"]["hint"]
    assert ran.result["error"]["details"] == ["begun"]
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"987654" in read(path)]


def test_a_stage_that_ignores_everything_and_closes_its_output_takes_too_long(bench: Bench) -> None:
    code = "import os, signal, time\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n"
    code += (
        "    except OSError: pass\nos.close(1); os.close(2); os.setsid() if os.fork() == 0 else 0\ntime.sleep(987655)"
    )
    bench.program("slow", code)
    ran = bench.run("slow", args=("--stage-timeout", "2"))
    assert ran.result["error"]["message"] == "slow took longer than 2 s"
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"lib/stages/slow" in read(path)]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("time_limit", ["soon", "-1", "1e3", "", "1d", "9" * 400])
def test_a_wrong_time_limit(bench: Bench, time_limit: str) -> None:
    done = bench.account.compose("run", "-", "--stage-timeout", time_limit, "--store", bench.store, input="{}")
    assert done.returncode == 2
    assert "is not a duration" in done.stderr


def test_time_limit_of_compose(bench: Bench) -> None:
    bench.program("slow", "import time; time.sleep(600)")
    (bench.place / "p.json").write_text(json.dumps({"stages": [step("slow")]}))
    where = ["--store", bench.store, "--libdir", bench.place / "lib", "-o", bench.place / "out"]
    done = bench.account.compose("run", bench.place / "p.json", "--stage-timeout", "1s", *where)
    assert done.returncode == 1
    assert "error: slow took longer than 1 s" in done.stderr
    assert "--stage-timeout" in done.stderr


def test_a_stage_that_takes_the_memory(bench: Bench) -> None:
    code = "import time\nblocks = []\nwhile True:\n    blocks.append(bytearray(b'x' * (8 << 20)))\n    time.sleep(0.02)"
    bench.program("greedy", code)
    ran = bench.run("greedy", args=("--stage-memory", "300M"))
    assert ran.returncode == 1
    assert ran.result["error"]["message"] == "greedy used more than 300 MiB of memory"
    assert "--stage-memory" in ran.result["error"]["hint"]


def test_memory_that_processes_share_counts_once(bench: Bench) -> None:
    code = "import os, time\nblock = bytearray(b'x' * (100 << 20))\n"
    code += "children = [os.fork() or (time.sleep(1.5), os._exit(0)) for _ in range(8)]\n"
    bench.program("forks", code + "[os.waitpid(child, 0) for child in children]")
    ran = bench.run("forks", args=("--stage-memory", "400M"))
    assert ran.returncode == 0, ran.result


BOMB = """
import json, os, random, sys, time
others = json.load(sys.stdin)["options"].get("others")
while True:
    try:
        if os.fork() == 0 and others and os.getuid() == 0:
            os.setuid(random.randrange(1, 60000))
    except OSError:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("others", [False, True])
def test_a_fork_bomb(bench: Bench, others: bool) -> None:
    """Also one whose processes become other users, which have limits of their own."""
    bench.program("bomb", BOMB)
    ran = bench.run(("bomb", {"others": others}), args=("--stage-processes", "100"))
    assert ran.returncode == 1
    assert ran.result["error"]["message"] == "bomb started too many processes: at most 100 are allowed"
    assert "--stage-processes" in ran.result["error"]["hint"]


def test_the_kernel_refuses_more_processes(bench: Bench) -> None:
    """Faster than anybody can look at it."""
    code = "import os, time\nn = 0\ntry:\n    while n < 300:\n        if os.fork() == 0: time.sleep(60); os._exit(0)\n"
    bench.program("count", code + "        n += 1\nexcept OSError as error: print(error.strerror)\nprint(n < 60)")
    ran = bench.run("count", args=("--stage-processes", "50"))
    assert ran.returncode in (0, 1)
    assert "Resource temporarily unavailable" in ran.output()
    assert ran.output().endswith("True")


def mounted(bench: Bench, size: str, *args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a pipeline with its scratch directory and its store on small file systems."""
    script = 'for d in "$1" "$2"; do mkdir -p "$d"; mount -t tmpfs -o "size=$0,mode=700" none "$d"; done; shift 2; '
    script += 'exec setpriv --reuid="$1" --regid="$1" --init-groups -- "${@:2}"'
    name = bench.account.name
    script = script.replace("mode=700", f"mode=700,uid=$(id -u {name}),gid=$(id -g {name})")
    argv = ["unshare", "--mount", "--", "bash", "-c", script, size, str(bench.store), str(bench.scratch), name]
    return subprocess.run(
        [*argv, str(bench.account.python), "-m", "runner", *map(str, bench.argv("--json"))],
        input=json.dumps({"stages": [step(args)] if len(args) > 1 else [step(str(args[0]))]}),
        capture_output=True,
        text=True,
        env=bench.account.environment(),
        cwd=bench.place,
        timeout=300,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_stage_that_fills_the_disk(bench: Bench) -> None:
    code = "import json, sys\nout = open(json.load(sys.stdin)['tree'] + '/big', 'wb')\n"
    bench.program("fill", code + "while True: out.write(b'x' * (1 << 20)); out.flush()")
    done = mounted(bench, "40M", "fill")
    error = json.loads(done.stdout)["error"]
    assert done.returncode == 1, done.stderr
    assert f"no space was left in {bench.scratch}" in error["message"]
    assert "--scratch" in error["hint"]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_output_does_not_fill_the_disk(bench: Bench) -> None:
    bench.program("print", PRINT)
    done = mounted(bench, "40M", "print")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_too_little_space_is_told_before_anything_runs(bench: Bench) -> None:
    done = mounted(bench, "4M", "org.osbuild.noop")
    assert done.returncode == 2, done.stderr
    result = json.loads(done.stdout)
    assert "of free space" in result["error"]["message"]
    assert result["stages"] == []
