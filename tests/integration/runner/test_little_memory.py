"""Where trees are worked on by default: in memory, and on disk where there is little of it."""

import glob
import json
import os
import subprocess
from pathlib import Path

import pytest

from runner.store.scratch_place import GIB
from tests.integration.runner.conftest import Bench, step

MARK = "import json, sys; open(json.load(sys.stdin)['tree'] + '/mark', 'w').write('1')"
SHM = Path("/dev/shm")
LITTLE_MEMORY = "mount --bind {place}/meminfo /proc/meminfo"
SMALL_TMPFS = "mount -t tmpfs -o size=2G,mode=1777 none /dev/shm; trap 'ls /dev/shm >&2' EXIT"


def in_memory(bench: Bench) -> list[Path]:
    """The scratch directories in memory that belong to the bench's store."""
    names = (os.path.join(path, b"store") for path in glob.glob(os.fsencode(SHM / "osbuild-compose-*")))
    files = [Path(os.fsdecode(name)) for name in names if os.path.isfile(name)]  # others may have odd things there
    return [path.parent for path in files if path.read_bytes() == os.fsencode(bench.store)]


def run(bench: Bench, number: int, prepare: str = "true") -> subprocess.CompletedProcess[str]:
    """Run two stages without saying where, the machine prepared by a shell command."""
    stages = [step("mark"), step(("org.osbuild.noop", {"number": number}))]
    argv = [bench.account.python, "-m", "runner", "--store", bench.store, "--libdir", bench.place / "lib", "-"]
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", f'{prepare}; "$@"', "sh", *bench.account.argv(argv)],
        input=json.dumps({"stages": stages}),
        capture_output=True,
        text=True,
        check=False,
        env=bench.account.environment(),
        cwd=bench.place,
    )


def good(done: subprocess.CompletedProcess[str]) -> str:
    """What a run that did well printed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def prepared(bench: Bench) -> Bench:
    if os.geteuid() != 0:
        pytest.skip("only root can show a process another /proc/meminfo")
    bench.program("mark", MARK)
    text = Path("/proc/meminfo").read_text().splitlines()
    shown = [line if not line.startswith("MemAvailable:") else f"MemAvailable: {2 * GIB >> 10} kB" for line in text]
    (bench.place / "meminfo").write_text("\n".join(shown) + "\n")
    return bench


def test_with_2_gib_of_memory_trees_are_on_disk(prepared: Bench) -> None:
    done = run(prepared, 1, LITTLE_MEMORY.format(place=prepared.place))
    assert in_memory(prepared) == []
    if prepared.account.is_root:
        good(done)
        assert len(list((prepared.store / "scratch").glob("*.used"))) == 2
        return
    # As in many containers: whoever sees a /proc with something hidden may not mount one in a user namespace.
    assert done.returncode == 2
    assert "error: /proc cannot be mounted here: Operation not permitted" in done.stderr
    assert "parts of /proc are hidden" in done.stderr


def test_with_a_small_tmpfs_trees_are_on_disk(prepared: Bench) -> None:
    done = run(prepared, 1, SMALL_TMPFS)
    good(done)
    assert done.stderr == ""
    assert len(list((prepared.store / "scratch").glob("*.used"))) == 2


def test_memory_that_became_short_is_given_back(prepared: Bench) -> None:
    if not prepared.account.is_root:
        pytest.skip("an ordinary user can make no sandbox where /proc/meminfo is another one")
    good(run(prepared, 1))
    if not in_memory(prepared):
        pytest.skip("this machine has less than 4 GiB of memory to spare")
    assert "mark: cached" in good(run(prepared, 2, LITTLE_MEMORY.format(place=prepared.place)))
    assert in_memory(prepared) == []
    assert (prepared.store / "scratch").is_dir()
    good(run(prepared, 3))
    assert len(in_memory(prepared)) == 1
    assert not (prepared.store / "scratch").exists()
    argv = [prepared.account.python, "-m", "runner.store", "--store", prepared.store, "clear"]
    assert prepared.account.run(argv).returncode == 0
    assert in_memory(prepared) == []
