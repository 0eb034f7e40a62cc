"""The runner in odd surroundings: streams, descriptors, variables, directories, and what ends with what."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import remove
from tests.integration.attacks.test_signals import descendants, describe
from tests.integration.runner.conftest import Bench, step

NOOP = json.dumps({"stages": [step("org.osbuild.noop")]})
WAIT = "import subprocess; print('here', flush=True); subprocess.run(['sleep', '600'])"


def shell(bench: Bench, script: str, *args: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run a script as the account; $0 is its Python, and the arguments are $1, $2 and so on."""
    return bench.account.run(
        ["bash", "-c", script, bench.account.python, *args], cwd=bench.place, env=env, timeout=120, input=""
    )


@pytest.fixture
def pipeline(bench: Bench) -> Path:
    path = bench.place / "p.json"
    path.write_text(NOOP)
    return path


RUN = '"$0" -m runner --store "$1" --scratch "$2"'


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (">&-", 2),
        (">/dev/full", 2),
        ("--json >&-", 2),
        ("--json >/dev/full", 2),
        ("--plan >/dev/full", 2),
        ("--inspect >/dev/full", 2),
        ("2>&-", 0),
        ("2>/dev/full", 0),
        ("<&-", 0),
        ("<&- >&- 2>&-", 2),
    ],
)
def test_standard_streams(bench: Bench, pipeline: Path, how: str, code: int) -> None:
    done = shell(bench, f'{RUN} "$3" {how}', bench.store, bench.scratch, pipeline)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code and "2>&-" not in how:
        assert "error: cannot write to standard output" in done.stderr
    # Nothing was written into a file that got the number of a closed stream.
    for lock in (bench.store / "locks").glob("*"):
        assert lock.read_bytes() == b""


@pytest.mark.parametrize("how", [">&-", ">/dev/full"])
@pytest.mark.parametrize("command", ["ls", "du", "verify", "prune --keep 1G", "clear"])
def test_standard_streams_of_the_store(bench: Bench, pipeline: Path, command: str, how: str) -> None:
    shell(bench, f'{RUN} "$3"', bench.store, bench.scratch, pipeline)
    done = shell(bench, f'"$0" -m runner.store --store "$1" {command} {how}', bench.store)
    assert done.returncode == (0 if command == "verify" else 2), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "value", ["abc", "-5", "1e9", "1.5", " 5", "5\n", "\u00b2", "0x10", "4294967296", "9" * 20, "9" * 5000, "\udcff"]
)
def test_source_date_epoch(bench: Bench, pipeline: Path, value: str) -> None:
    done = shell(bench, f'{RUN} "$3"', bench.store, bench.scratch, pipeline, SOURCE_DATE_EPOCH=value)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: SOURCE_DATE_EPOCH=")


def test_source_date_epoch_through_the_frontend(bench: Bench, pipeline: Path) -> None:
    env = {"SOURCE_DATE_EPOCH": "soon"}
    done = bench.account.compose("run", pipeline, "--store", bench.store, env=env, cwd=bench.place)
    assert done.returncode == 2, done.stderr
    assert "error: SOURCE_DATE_EPOCH=soon: " in done.stderr


@pytest.mark.parametrize("value", ["", "0", "1735689600", "4294967295"])
def test_source_date_epoch_that_is_one(bench: Bench, pipeline: Path, value: str) -> None:
    done = shell(bench, f'{RUN} "$3"', bench.store, bench.scratch, pipeline, SOURCE_DATE_EPOCH=value)
    assert done.returncode == 0, done.stderr


def test_options_of_programs_in_variables(bench: Bench) -> None:
    """They do not reach the programs that keep a tree: the layer has everything, and is as without them."""
    bench.program("make", "import json, sys; open(json.load(sys.stdin)['tree'] + '/file', 'w').write('x' * 1000)")
    options = {
        "TAR_OPTIONS": "--exclude=file --totals",
        "ZSTD_CLEVEL": "19",
        "ZSTD_NBTHREADS": "x",
        "POSIXLY_CORRECT": "1",
    }
    made = []
    for env in (options, {}):
        ran = bench.run("make", env=env)
        assert ran.returncode == 0, ran.stderr
        (archive,) = (bench.store / "layers").glob("*.zst")
        made.append(archive.read_bytes())
        remove(bench.store)
        remove(bench.scratch)
    assert made[0] == made[1]


@pytest.mark.parametrize("kilobytes", [60_000, 300_000])
def test_little_address_space(bench: Bench, pipeline: Path, kilobytes: int) -> None:
    done = shell(bench, f'ulimit -v {kilobytes}; {RUN} "$3"', bench.store, bench.scratch, pipeline)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1, 2)
    assert done.returncode == 0 or done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("fd", "redirection"),
    [("99", ""), ("-1", ""), ("abc", ""), ("1e3", ""), ("9" * 30, ""), ("", ""), ("5", "5</dev/null"), ("5", "5</tmp")],
)
def test_monitor(bench: Bench, pipeline: Path, fd: str, redirection: str) -> None:
    script = f'{RUN} --monitor-fd="{fd}" "$3" {redirection}'
    done = shell(bench, script, bench.store, bench.scratch, pipeline)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert "--monitor-fd" in done.stderr
    assert not bench.store.exists()


@pytest.mark.parametrize("size", ["1e400", "nan", "-5G", "abc", "", "1P", "\udcff"])
def test_sizes(bench: Bench, pipeline: Path, size: str) -> None:
    assert shell(bench, f'{RUN} "$3"', bench.store, bench.scratch, pipeline).returncode == 0
    for script in (
        '"$0" -m runner.store --store "$1" prune --keep="$4"',
        f'{RUN} --cache-size="$4" "$3"',
        '"${0%/*}/compose" cache prune --store "$1" --keep="$4"',
        f'{RUN} --stage-memory="$4" "$3"',
    ):
        done = shell(bench, script, bench.store, bench.scratch, pipeline, size)
        assert done.returncode == 2, (script, done.stderr)
        assert "is not a size" in done.stderr
        assert "Traceback" not in done.stderr
    assert list((bench.store / "layers").glob("*.json"))  # nothing was removed


@pytest.mark.parametrize("days", ["nan", "inf", "-1", "abc"])
def test_days(bench: Bench, pipeline: Path, days: str) -> None:
    assert shell(bench, f'{RUN} "$3"', bench.store, bench.scratch, pipeline).returncode == 0
    for script in (
        '"$0" -m runner.store --store "$1" prune --days="$2"',
        '"${0%/*}/compose" cache prune --store "$1" --days="$2"',
    ):
        done = shell(bench, script, bench.store, days)
        assert done.returncode == 2, (script, done.stderr)
        assert "Traceback" not in done.stderr
        assert "days" in done.stderr
    assert list((bench.store / "layers").glob("*.json"))


def test_a_working_directory_that_is_gone(bench: Bench, pipeline: Path) -> None:
    gone = "mkdir gone; cd gone; rmdir ../gone; "
    for script in (f'{gone} "$0" -m runner "$3"', f'{gone} "$0" -m runner.store ls', f"{gone} {RUN} p.json"):
        done = shell(bench, script, bench.store, bench.scratch, pipeline)
        assert done.returncode == 2, (script, done.stderr)
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
    done = shell(bench, f'{gone} {RUN} "$3"', bench.store, bench.scratch, pipeline)  # nothing in it is needed
    assert done.returncode == 0, done.stderr


NAMES = [
    b"not-\xff\xfe-utf-8",
    b"co:lon",
    b"com,ma",
    b"new\nline",
    b"back\\slash",
    b"ends in \\",
    b"%s $(x) 'q' \"",
    b"-d",
]


@pytest.mark.parametrize(
    ("name", "trees"), [*((name, "") for name in NAMES), (b"co:lon, \\ \xff", "--no-overlay")], ids=repr
)
def test_names_of_directories(bench: Bench, name: bytes, trees: str) -> None:
    """Names that mean something in the options of mounts, in lists of paths, in formats and in shells."""
    odd = os.fsdecode(name)
    path = bench.place / "p.json"
    path.write_text(json.dumps({"stages": [step(("org.osbuild.noop", {"n": n})) for n in range(3)]}))
    script = f'cd "$1"; "$0" -m runner --store "$2" --scratch "$3" {trees} --json "$4"'
    bench.account.run(["mkdir", "-p", bench.place / "here" / odd], check=True)
    here = bench.place / "here" / odd
    done = shell(bench, script, here, here / odd, here / f"s{odd}", path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [stage["cached"] for stage in result["stages"]] == [False] * 3
    again = json.loads(shell(bench, script, here, here / odd, here / f"s{odd}", path).stdout)
    assert [stage["cached"] for stage in again["stages"]] == [True] * 3
    for command in ("ls", "du", "verify", "prune --keep 1", "clear"):
        done = shell(bench, f'"$0" -m runner.store --store "$1" {command}', here / odd)
        assert done.returncode == 0, (command, done.stderr)


def test_stores_that_are_none(bench: Bench, pipeline: Path) -> None:
    file = bench.place / "file"
    file.touch()
    for store in (file, file / "below", Path("/proc/x"), bench.place / ("n" * 300)):
        done = shell(bench, f'{RUN} "$3"', store, bench.scratch, pipeline)
        assert done.returncode == 2, (store, done.stderr)
        assert "error: the store " in done.stderr
        done = shell(bench, '"$0" -m runner.store --store "$1" ls', store)
        assert done.returncode == 2, (store, done.stderr)
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts")
def test_a_store_that_is_read_only(bench: Bench, pipeline: Path) -> None:
    assert shell(bench, f'{RUN} "$3"', bench.store, bench.scratch, pipeline).returncode == 0
    mount = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; exec setpriv --reuid="$0" --regid="$0" '
    mount += '--init-groups -- "${@:2}"'
    for module, args in (("runner", [str(pipeline)]), ("runner.store", ["ls"]), ("runner.store", ["clear"])):
        argv = [str(bench.account.python), "-m", module, "--store", str(bench.store), *args]
        done = subprocess.run(
            ["unshare", "--mount", "--", "bash", "-c", mount, bench.account.name, str(bench.store), *argv],
            capture_output=True,
            text=True,
            env=bench.account.environment(),
            cwd=bench.place,
            check=False,
        )
        assert done.returncode == 2, (argv, done.stderr)
        assert "Read-only file system" in done.stderr
        assert "Traceback" not in done.stderr


# What dies with what.


@contextlib.contextmanager
def running(bench: Bench, argv: list[str | Path], word: bytes = b"here") -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has printed a word; afterwards nothing of it may be left."""
    before = descendants()
    with subprocess.Popen(
        bench.account.argv(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=bench.place,
        env=bench.account.environment(),
    ) as process:
        assert process.stdout
        said = b""
        while word not in said:
            said += (chunk := os.read(process.stdout.fileno(), 4096))
            assert chunk, said
        try:
            yield process
        finally:
            process.kill()
        end = time.monotonic() + 60
        while (left := descendants() - before - {process.pid}) and time.monotonic() < end:
            time.sleep(0.02)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        assert not left, [describe(pid) for pid in left]


def compose_run(bench: Bench) -> list[str | Path]:
    bench.program("wait", WAIT)
    (bench.place / "p.json").write_text(json.dumps({"stages": [step("wait")]}))
    compose = bench.account.python.parent / "compose"
    argv = [compose, "run", bench.place / "p.json", "--store", bench.store, "--libdir", bench.place / "lib"]
    return [*argv, "-v", "-o", bench.place / "out"]


def runner_run(bench: Bench) -> list[str | Path]:
    bench.program("wait", WAIT)
    (bench.place / "p.json").write_text(json.dumps({"stages": [step("wait")]}))
    return [bench.account.python, "-m", "runner", *bench.argv()[:-1], bench.place / "p.json"]


@pytest.mark.parametrize("make", [compose_run, runner_run])
def test_everything_ends_when_it_is_killed(bench: Bench, make: Callable[[Bench], list[str | Path]]) -> None:
    with running(bench, make(bench)) as process:
        process.kill()
        assert process.wait(300) == -signal.SIGKILL


@pytest.mark.parametrize("which", range(6))
def test_everything_ends_when_any_of_the_processes_is_killed(bench: Bench, which: int) -> None:
    """The frontend, the runner's supervisor, its helper, the run, bubblewrap, the sandbox's first process."""
    before = descendants()
    with running(bench, compose_run(bench)) as process:
        each = sorted(descendants() - before)
        os.kill(each[min(which, len(each) - 1)], signal.SIGKILL)
        if which < 5:
            assert process.wait(300) != 0
        else:
            process.terminate()
            process.wait(300)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_process_in_the_namespace(bench: Bench, number: signal.Signals) -> None:
    """It is the run's first process, which only killing must end from inside."""
    before = descendants()
    argv = runner_run(bench)
    with running(bench, ["env", "--default-signal", *argv]) as process:
        inner = [
            pid
            for pid in descendants() - before
            if Path(f"/proc/{pid}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[1:] == ["1"]
        ]
        assert len(inner) == 1
        os.kill(inner[0], number)
        assert process.wait(300) == 128 + number


@pytest.mark.parametrize("make", [compose_run, runner_run])
def test_a_terminal_that_is_closed(bench: Bench, make: Callable[[Bench], list[str | Path]]) -> None:
    """The kernel sends SIGHUP, and writing to the terminal fails."""
    argv = bench.account.argv([str(word) for word in make(bench)])
    before = descendants()
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(bench.place)
        os.execvpe(argv[0], argv, bench.account.environment())
    said = b""
    while b"here" not in said:
        said += os.read(master, 4096)
    os.close(master)
    end = time.monotonic() + 60
    ended = status = 0
    while not ended and time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.02)
    assert ended
    assert os.waitstatus_to_exitcode(status) in (129, 130)
    while descendants() - before and time.monotonic() < end:
        time.sleep(0.02)
    assert descendants() - before == set()


@pytest.mark.parametrize("script", [f'{RUN} "$3"', f'{RUN} --plan "$3"', '"${0%/*}/compose" distros'])
def test_a_reader_that_has_gone(bench: Bench, pipeline: Path, script: str) -> None:
    """As with a terminal that was closed."""
    done = shell(bench, f"set -o pipefail; {{ sleep 0.5; {script}; }} | true", bench.store, bench.scratch, pipeline)
    assert done.returncode == 129, done.stderr
    assert "Traceback" not in done.stderr


def test_nohup_is_respected(bench: Bench) -> None:
    argv = runner_run(bench)
    with running(bench, ["nohup", *argv]) as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert process.poll() is None
        process.terminate()
        assert process.wait(300) == 128 + signal.SIGTERM


def test_a_user_namespace_with_one_id(bench: Bench, pipeline: Path) -> None:
    """Told before anything runs; root there is nobody special outside."""
    done = shell(bench, f'unshare --user --map-root-user {RUN} --json "$3"', bench.store, bench.scratch, pipeline)
    if "unshare failed" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 2, done.stderr
    result = json.loads(done.stdout)
    assert result["stages"] == []
    assert "ids" in result["error"]["message"]
    assert "Traceback" not in done.stderr
