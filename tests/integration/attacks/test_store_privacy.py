"""What other users of the machine can see and do: the store, its locks, and scratch in memory."""

import fcntl
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Account, make_account
from tests.integration.runner.conftest import Bench, step

SHM = Path("/dev/shm")
SECRET = """
import json, os, sys
tree = json.load(sys.stdin)["tree"]
os.mkdir(tree + "/etc"); open(tree + "/etc/shadow", "w").write("root:secret hash:1::::::")
"""
IMAGE = "import json, sys; a = json.load(sys.stdin); open(a['output_dir'] + '/image', 'w').write('secret')"
SLOW = "import json, sys, time; o = json.load(sys.stdin)['options']; time.sleep(o['seconds'])"


def others(bench: Bench, scratch_room: Path, installed: Path) -> Account:
    """The other account. Skips unless it is an ordinary user: root may do anything."""
    if not bench.account.is_root and os.geteuid() != 0:
        pytest.skip("only root can try what another user can do")
    return make_account("user" if bench.account.is_root else "root", scratch_room, installed)


def without_scratch(bench: Bench, *args: str | Path) -> list[str | Path]:
    """The bench's command line with scratch where it is by default."""
    argv = bench.argv(*args)
    at = argv.index("--scratch")
    return [*argv[:at], *argv[at + 2 :]]


def built(bench: Bench, *args: str | Path, umask: int = 0o022, number: int = 0) -> subprocess.CompletedProcess[str]:
    """Build an image of a tree with a secret, with scratch where it is by default."""
    bench.program("secret", SECRET)
    bench.program("image", IMAGE, kind="assemblers")
    document = {"stages": [step("secret"), step(("org.osbuild.noop", {"n": number}))], "assembler": step("image")}
    before = os.umask(umask)
    try:
        return bench.account.runner(*without_scratch(bench, *args), input=json.dumps(document), timeout=300)
    finally:
        os.umask(before)


def scratch_of(bench: Bench) -> Path | None:
    """The store's scratch directory in memory."""
    record = bench.store / "scratch-in-memory"
    return SHM / record.read_text() if record.exists() else None


@pytest.mark.parametrize("umask", [0, 0o022, 0o002])
def test_nothing_of_a_build_can_be_read_by_others(
    bench: Bench, scratch_room: Path, installed: Path, umask: int
) -> None:
    assert built(bench, umask=umask).returncode == 0
    assert stat.S_IMODE(bench.store.stat().st_mode) == 0o700
    places = [bench.store, *filter(None, [scratch_of(bench)])]
    if len(places) == 2:
        assert stat.S_IMODE(places[1].stat().st_mode) == 0o700
    if bench.account.is_root:
        other = others(bench, scratch_room, installed)
        for place in places:
            assert other.run(["ls", place]).returncode != 0
            assert other.run(["find", place, "-type", "f"]).stdout == ""
        for name in ("layers", "outputs", "downloads", "refs", "builds", "locks", "tmp"):
            assert other.run(["ls", bench.store / name]).returncode != 0


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o705, 0o701])
def test_a_store_that_others_could_read_is_tightened(bench: Bench, mode: int) -> None:
    assert built(bench).returncode == 0
    bench.store.chmod(mode)
    (bench.store / "locks").chmod(0o755)
    done = built(bench)
    assert done.returncode == 0
    assert f"note: others could read the store {bench.store}; now it is only yours" in done.stdout
    assert stat.S_IMODE(bench.store.stat().st_mode) == 0o700
    assert stat.S_IMODE((bench.store / "locks").stat().st_mode) == 0o700
    assert "others could" not in built(bench).stdout
    bench.store.chmod(0o755)
    argv = [bench.account.python, "-m", "runner.store", "--store", bench.store, "ls"]
    assert "others could read" in bench.account.run(argv).stderr
    assert stat.S_IMODE(bench.store.stat().st_mode) == 0o700


def test_a_store_that_is_shown_to_a_group_stays_so(bench: Bench) -> None:
    assert built(bench).returncode == 0
    bench.store.chmod(0o750)
    assert built(bench).returncode == 0
    assert stat.S_IMODE(bench.store.stat().st_mode) == 0o750
    for name in ("locks", "tmp"):  # whoever may open a lock file can hold the lock
        assert stat.S_IMODE((bench.store / name).stat().st_mode) == 0o700


def test_a_group_that_may_read_a_store_copies_from_it(scratch_room: Path, installed: Path) -> None:
    """As docs/how-to/store.md says; root's store, for the ordinary user's group."""
    if shutil.which("setfacl") is None:
        pytest.skip("needs setfacl")
    root, user = (make_account(kind, scratch_room, installed) for kind in ("root", "user"))
    place = scratch_room / "shared"
    place.mkdir()
    bench = Bench(root, place)
    assert built(bench).returncode == 0
    subprocess.run(["setfacl", "-m", f"g:{user.name}:rx", bench.store], check=True)
    assert built(bench, number=1).returncode == 0
    theirs = Bench(user, place / "copy")
    theirs.place.mkdir(mode=0o700)
    shutil.chown(theirs.place, user.name, user.name)
    copied = [bench.store / name for name in ("layers", "refs", "builds", "downloads")]
    user.run(["mkdir", "-m", "700", theirs.store], check=True)
    user.run(["cp", "-r", *copied, theirs.store])  # downloads/partial, for instance, is not for others
    done = built(theirs, "--libdir", place / "lib")
    assert done.returncode == 0, done.stderr
    assert "secret: cached" in done.stdout
    assert "org.osbuild.noop: cached" in done.stdout
    refused = built(bench, "--json") if os.geteuid() else user.runner(*without_scratch(bench), input='{"stages": []}')
    assert refused.returncode == 2
    assert "belongs to another user: root" in refused.stderr


def test_a_store_of_another_group_is_refused_or_gets_the_callers(bench: Bench) -> None:
    """A run's namespaces have the caller's group only: without it, sandboxes could not be made."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory to any group")
    bench.place.chmod(0o2755)
    shutil.chown(bench.place, group=33)
    assert built(bench).returncode == 0  # a new one in a directory that hands its group on
    shutil.chown(bench.store, group=33)
    assert built(bench, number=1).returncode == 0
    shutil.chown(bench.store, group=33)
    bench.store.chmod(0o750)
    done = built(bench, number=2)
    assert done.returncode == 2
    assert "belongs to another group than yours" in done.stderr
    assert "setfacl" in done.stderr


def test_the_manifest_of_a_failed_build_is_the_callers_alone(bench: Bench) -> None:
    bench.program("fail", "import sys; sys.exit(9)")
    ran = bench.run(("fail", {"password": "secret"}))
    kept = Path(ran.result["error"]["manifest"])
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_the_store_of_another_user_is_refused(bench: Bench, scratch_room: Path, installed: Path) -> None:
    other = others(bench, scratch_room, installed)
    bench.store.mkdir(mode=0o755)
    shutil.chown(bench.store, other.name)
    done = built(bench)
    assert done.returncode == 2
    assert "belongs to another user" in done.stderr
    assert list(bench.store.iterdir()) == []


@pytest.mark.parametrize("plant", ["layers", "layers and refs"])
def test_a_directory_with_other_things_is_no_store(
    bench: Bench, scratch_room: Path, installed: Path, plant: str
) -> None:
    """And so is not changed: root's --store /tmp."""
    other = others(bench, scratch_room, installed)
    bench.store.mkdir(mode=0o700)
    shutil.chown(bench.store, bench.account.name)
    bench.store.chmod(0o1777)
    for name in plant.split(" and "):
        other.run(["mkdir", bench.store / name], check=True)
    done = built(bench)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert stat.S_IMODE(bench.store.stat().st_mode) == 0o1777
    assert not (bench.store / "outputs").exists()


@pytest.mark.parametrize("plant", ["file", "fifo", "link", "loop"])
def test_a_store_that_is_no_directory_is_an_error(bench: Bench, plant: str) -> None:
    make = {"file": ["touch"], "fifo": ["mkfifo"], "link": ["ln", "-s", "/dev/null"], "loop": ["ln", "-s", bench.store]}
    bench.account.run([*make[plant], bench.store], check=True)
    done = built(bench)
    assert done.returncode == 2
    assert "cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


# -- scratch in memory -------------------------------------------------------------------------------------------------


@pytest.fixture
def planted(bench: Bench, scratch_room: Path, installed: Path) -> Iterator[Account]:
    """The other account, which has planted things in /dev/shm by names that could be ours."""
    other = others(bench, scratch_room, installed)
    victim = bench.place / "victim"
    victim.mkdir(mode=0o777)
    victim.chmod(0o777)
    script = """
    umask 0; cd /dev/shm
    for name in "$@"; do
        mkdir -p osbuild-compose-attack-$name/a; done; cd osbuild-compose-attack-dir
    mkfifo store lock; cd ../osbuild-compose-attack-text; printf '/\\377\\376' > store; mkfifo lock
    cd ../osbuild-compose-attack-link; ln -s "$VICTIM/lock" lock; ln -s "$VICTIM/store" store
    cd ..; mkfifo osbuild-compose-attack-fifo; ln -s "$VICTIM" osbuild-compose-attack-symlink
    printf x > "$(printf 'osbuild-compose-attack-\\377\\376')"; ln -s "$VICTIM/new" "osbuild-compose-$UIDS-deadbeef"
    """
    uid = bench.place.stat().st_uid
    env = {"VICTIM": str(victim), "UIDS": str(uid)}
    other.run(["sh", "-ec", script, "sh", "dir", "text", "link"], env=env, check=True)
    yield other
    remove = "rm -rf --one-file-system /dev/shm/osbuild-compose-attack-* /dev/shm/osbuild-compose-*-deadbeef"
    other.run(["sh", "-c", remove])
    assert list(victim.iterdir()) == []


def test_what_another_user_put_into_memory_is_left_alone(bench: Bench, planted: Account) -> None:
    before = sorted(os.listdir(os.fsencode(SHM)))
    for number in range(2):
        done = built(bench, number=number)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    place = scratch_of(bench)
    if place is not None:
        assert place.stat().st_uid == bench.place.stat().st_uid
    assert set(os.listdir(os.fsencode(SHM))) >= set(before)
    argv = [bench.account.python, "-m", "runner.store", "--store", bench.store, "clear"]
    cleared = bench.account.run(argv, timeout=300)
    assert cleared.returncode == 0, cleared.stderr
    assert planted.run(["ls", "/dev/shm/osbuild-compose-attack-fifo"]).returncode == 0
    assert place is None or not place.exists()


def test_a_name_that_another_user_has_taken_is_not_used(bench: Bench, planted: Account) -> None:
    """As after a restart, when the names of before are known."""
    assert built(bench).returncode == 0
    place = scratch_of(bench)
    if place is None:
        pytest.skip("this machine has less than 4 GiB of memory to spare")
    script = f"import shutil; shutil.rmtree({str(place)!r})"
    enter = [] if bench.account.is_root else ["unshare", "--user", "--map-auto", "--map-root-user"]
    bench.account.run([*enter, bench.account.python, "-c", script], check=True)
    planted.run(["sh", "-ec", 'umask 0; mkdir "$0"; mkfifo "$0/store" "$0/lock"', place], check=True)
    try:
        assert built(bench, number=1).returncode == 0
        assert scratch_of(bench) not in (place, None)
    finally:
        planted.run(["rm", "-rf", "--one-file-system", place])


def test_another_users_directory_is_refused_as_scratch(bench: Bench, planted: Account) -> None:
    place = bench.place / "theirs"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    shutil.chown(place, planted.name)
    planted.run(["sh", "-ec", 'mkfifo "$0/lock" "$0/store"', place], check=True)
    done = built(bench, "--scratch", place)
    assert done.returncode == 2
    assert "belongs to another user" in done.stderr


def test_a_directory_with_other_things_is_refused_as_scratch(bench: Bench) -> None:
    place = bench.place / "mine"
    bench.account.run(["mkdir", "-p", place / "tmp-important"], check=True)
    done = built(bench, "--scratch", place)
    assert done.returncode == 2
    assert "has other things in it" in done.stderr
    assert (place / "tmp-important").is_dir()


# -- locks -------------------------------------------------------------------------------------------------------------


def test_another_user_cannot_hold_a_lock(bench: Bench, scratch_room: Path, installed: Path) -> None:
    assert built(bench).returncode == 0
    if not bench.account.is_root:
        pytest.skip("root can open everything")
    other = others(bench, scratch_room, installed)
    for lock in (*(bench.store / "locks").iterdir(), bench.store / "locks" / "new"):
        done = other.run(["flock", "--nonblock", lock, "true"])
        assert "Permission denied" in done.stderr
    scratch = scratch_of(bench)
    if scratch:
        assert "Permission denied" in other.run(["flock", "--nonblock", scratch / "lock", "true"]).stderr


def start(bench: Bench, stages: list[Any]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        bench.account.argv([bench.account.python, "-m", "runner", *bench.argv()]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=bench.account.environment(),
        cwd=bench.place,
    )
    assert process.stdin
    process.stdin.write(json.dumps({"stages": stages}))
    process.stdin.close()
    return process


# A stage that ends when the test puts a file where downloads are shared.
HELD = """
import json, os, sys, time
until = "/run/osbuild/downloads/sha256/" + json.load(sys.stdin)["options"]["until"]
while not os.path.exists(until):
    time.sleep(0.05)
"""


def test_waiting_for_another_build_is_said_with_its_process(bench: Bench) -> None:
    bench.program("held", HELD, network=True)
    stage = step(("held", {"until": "one"}))
    with start(bench, [stage]) as first:
        assert first.stdout
        assert "held: " in first.stdout.readline()
        with start(bench, [stage]) as second:
            assert second.stdout
            assert second.stdout.readline() == f"note: waiting for another build of held (process {first.pid})\n"
            (bench.store / "downloads/sha256/one").touch()
            assert second.wait(timeout=300) == 0
        argv = [bench.account.python, "-m", "runner.store", "--store", bench.store, "prune", "--keep", "0"]
        assert first.wait(timeout=300) == 0
    with start(bench, [step(("held", {"until": "two"}))]) as third:
        assert third.stdout
        assert "held: " in third.stdout.readline()
        refused = bench.account.run(argv)
        assert refused.returncode == 1
        assert f"the store is in use by a build: process {third.pid}" in refused.stderr
        (bench.store / "downloads/sha256/two").touch()
        assert third.wait(timeout=300) == 0


def test_waiting_for_the_store_is_said(bench: Bench) -> None:
    """A build, and `compose cache`, while another process cleans the store."""
    assert built(bench).returncode == 0
    fd = os.open(bench.store / "locks" / "store", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        with start(bench, [step("org.osbuild.noop")]) as process:
            assert process.stdout
            line = process.stdout.readline()
            assert line.startswith(
                f"note: waiting for 1 s for the store {bench.store}, which is being cleaned (process"
            )
            assert str(os.getpid()) in line
            argv = ["cache", "ls", "--store", bench.store]
            compose = bench.account.python.parent / "compose"
            with subprocess.Popen(
                bench.account.argv([compose, *argv]),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                env=bench.account.environment(),
            ) as listing:
                assert listing.stderr
                assert f"waiting for 1 s for the store {bench.store}" in listing.stderr.readline()
                os.close(fd)
                fd = -1
                assert listing.wait(timeout=300) == 0
            assert process.wait(timeout=300) == 0
    finally:
        if fd >= 0:
            os.close(fd)


def test_a_stopped_build_is_waited_for_with_a_word_and_can_be_interrupted(bench: Bench) -> None:
    bench.program("slow", SLOW)
    with start(bench, [step(("slow", {"seconds": 300}))]) as first:
        assert first.stdout
        assert "slow: " in first.stdout.readline()
        with start(bench, [step(("slow", {"seconds": 300}))]) as second:
            assert second.stdout
            assert "waiting for another build" in second.stdout.readline()
            started = time.monotonic()
            second.terminate()
            second.wait(timeout=300)
            assert time.monotonic() - started < 30
        first.terminate()
        first.wait(timeout=300)
