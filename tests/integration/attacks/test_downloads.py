"""What a stage with network leaves where downloads are shared, and what of it reaches the store."""

import hashlib
import json
import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.attacks.conftest import attempt, run_stage
from tests.integration.runner.conftest import Bench

SHARED = "/run/osbuild/downloads"
NEW = "/run/osbuild/new-downloads"
LEAVE = f"""
import hashlib
new = {NEW!r}
for name in ('sha256', 'indexes'):
    os.mkdir(new + '/' + name)
def digest(data):
    return hashlib.sha256(data).hexdigest()
def leave(data, mode=0o644):
    '''Put a file where the runner looks for it.'''
    path = new + '/sha256/' + digest(data)
    open(path, 'wb').write(data); os.chmod(path, mode)
    return path
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def stored(bench: Bench, data: bytes) -> Path:
    return bench.store / "downloads" / "sha256" / sha256(data)


def everything(bench: Bench) -> dict[str, os.stat_result]:
    top = bench.store / "downloads"
    return {path.relative_to(top).as_posix(): path.lstat() for path in sorted(top.rglob("*"))}


def test_good_files_are_kept_whoever_made_them_and_with_plain_modes(bench: Bench) -> None:
    code = (
        "leave(b'plain'); leave(b'setuid', 0o6755); leave(b'secret', 0)\n"
        "os.chown(leave(b'other'), 33, 33)\n"
        "open(new + '/indexes/' + digest(b'x') + '.json', 'w').write('{}')\n"
        "show(0)"
    )
    attempt(bench, LEAVE + code, network=True)
    owner = bench.place.stat().st_uid
    for data in (b"plain", b"setuid", b"secret", b"other"):
        info = stored(bench, data).lstat()
        assert stored(bench, data).read_bytes() == data
        assert info.st_uid == owner
        assert stat.S_IMODE(info.st_mode) == 0o644
    assert (bench.store / "downloads" / "indexes" / f"{sha256(b'x')}.json").read_text() == "{}"


def test_what_was_downloaded_is_kept_when_the_stage_fails(bench: Bench) -> None:
    ran = run_stage(bench, LEAVE + "leave(b'kept')\nsys.exit(3)", network=True)
    assert ran.returncode == 1
    assert stored(bench, b"kept").read_bytes() == b"kept"


def test_nothing_but_regular_files_with_their_digest_is_kept(bench: Bench, secret: Path) -> None:
    code = (
        f"secret = {str(secret)!r}\n"
        "os.symlink(secret, new + '/sha256/' + digest(b'secret'))\n"
        "os.symlink('/etc/passwd', new + '/sha256/' + digest(b'1'))\n"
        "os.mkfifo(new + '/sha256/' + digest(b'2')); os.mkdir(new + '/sha256/' + digest(b'3'))\n"
        "socket.socket(socket.AF_UNIX).bind(new + '/sha256/' + digest(b'4'))\n"
        "open(new + '/sha256/' + digest(b'5'), 'w').write('something else')\n"
        "open(new + '/sha256/program', 'w').write('x'); os.chmod(new + '/sha256/program', 0o4755)\n"
        "open(new + '/sha256/' + digest(b'6').upper(), 'w').write('6')\n"
        "open(new + '/program', 'w').write('x'); os.chmod(new + '/program', 0o6755)\n"
        "os.mkdir(new + '/partial'); open(new + '/partial/x', 'w'); os.symlink('/etc', new + '/apt-lists')\n"
        "os.symlink(secret, new + '/indexes/' + digest(b'7') + '.json')\n"
        "os.mkfifo(new + '/indexes/' + digest(b'8') + '.json')\n"
        "os.mkfifo(new + '/used'); show(0)"
    )
    before = sorted(everything(bench)) if bench.store.exists() else []
    attempt(bench, LEAVE + code, network=True)
    assert [name for name in everything(bench) if name not in before] in (
        ["indexes", "sha256"],
        ["indexes", "partial", "sha256"],
    )
    assert list((bench.store / "tmp").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "fifo", "file"])
def test_other_things_in_place_of_the_directories(bench: Bench, secret: Path, kind: str) -> None:
    make = {"link": f"os.symlink({str(secret.parent)!r}, p)", "fifo": "os.mkfifo(p)", "file": "open(p, 'w')"}[kind]
    attempt(bench, f"for p in ('{NEW}/sha256', '{NEW}/indexes', '{NEW}/used'): {make}\nshow(0)", network=True)
    assert secret.read_text() == "secret"
    assert not any(stat.S_ISLNK(info.st_mode) for info in everything(bench).values())


def test_the_shared_ones_are_read_only_and_cannot_be_listed(bench: Bench) -> None:
    attempt(bench, LEAVE + "leave(b'first')\nshow(0)", network=True)
    code = (
        f"shared = {SHARED!r}\n"
        f"path = shared + '/sha256/{sha256(b'first')}'\n"
        "found = {'read': read(path).decode()}\n"
        "found['write'] = outcome(open, path, 'r+'); found['remove'] = outcome(os.unlink, path)\n"
        "found['mode'] = outcome(os.chmod, path, 0o777); found['owner'] = outcome(os.chown, path, 1, 1)\n"
        "found['add'] = outcome(open, shared + '/sha256/new', 'w')\n"
        "found['link'] = outcome(os.link, path, new + '/link')\n"
        "found['list'] = [outcome(os.listdir, shared + '/' + name) for name in ('sha256', 'indexes')]\n"
        "found['partial'] = os.path.lexists(shared + '/partial')\n"
        "flags = [line.split() for line in open('/proc/self/mountinfo')]\n"
        "found['flags'] = {f[4]: f[5] for f in flags if f[4].startswith(('/run/osbuild/', '/var'))}\n"
        "show(found)"
    )
    found = attempt(bench, LEAVE + code, {"second": 1}, network=True)
    assert found["read"] == "first"
    assert {found[name] for name in ("write", "remove", "mode", "owner", "add")} <= {"EROFS", "EACCES", "EPERM"}
    assert found["link"] in ("EXDEV", "EPERM")
    assert found["list"] == ["EACCES", "EACCES"]
    assert found["partial"] is False
    for place in (f"{SHARED}/sha256", f"{SHARED}/indexes", NEW, "/var"):
        assert {"nosuid", "nodev"} <= set(found["flags"][place].split(","))
    assert stored(bench, b"first").read_bytes() == b"first"


def test_a_file_that_is_still_written_to_from_outside_is_not_kept(bench: Bench) -> None:
    """A stage with network can pass a descriptor to an accomplice, who changes the file after it was verified."""
    accomplice = (
        "import array, os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[1]); s.listen(); print('ready', flush=True)\n"
        "c, _ = s.accept()\n"
        "_, fds, _, _ = socket.recv_fds(c, 10, 1)\n"
        "print('got', flush=True); sys.stdin.read()\n"
    )
    name = f"compose-attack-{bench.place.name}"
    with subprocess.Popen(
        bench.account.argv([bench.account.python, "-c", accomplice, name]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        code = (
            "leave(b'quiet'); fd = os.open(leave(b'passed on'), os.O_RDWR)\n"
            f"s = socket.socket(socket.AF_UNIX); s.connect('\\0{name}')\n"
            "socket.send_fds(s, [b'x'], [fd]); show(0)"
        )
        attempt(bench, LEAVE + code, network=True)
        assert process.stdout.readline() == "got\n"
        process.stdin.close()
    assert stored(bench, b"quiet").exists()
    assert not stored(bench, b"passed on").exists()


def test_two_builds_at_once_both_add_theirs(bench: Bench) -> None:
    bench.program("leave", f"import json, os, socket, sys, time\n{LEAVE}leave(json.load(sys.stdin)['options']['what'].encode())\nleave(b'both')\ntime.sleep(1)", network=True)  # fmt: skip  # noqa: E501
    with ThreadPoolExecutor() as pool:
        ran = list(pool.map(lambda what: bench.run(("leave", {"what": what})), ("one", "two")))
    assert [one.returncode for one in ran] == [0, 0], [one.result.get("error") for one in ran]
    for data in (b"one", b"two", b"both"):
        assert stored(bench, data).read_bytes() == data


@pytest.mark.parametrize("command", [("verify",), ("prune", "--keep", "0"), ("clear",)])
def test_what_old_versions_let_stages_leave_is_removed_and_not_followed(
    bench: Bench, secret: Path, command: tuple[str, ...]
) -> None:
    attempt(bench, LEAVE + "leave(b'good')\nshow(0)", network=True)
    blobs = bench.store / "downloads" / "sha256"
    victim = bench.place / "victim"
    bench.account.run(["mkdir", victim], check=True)
    bench.account.run(["touch", victim / "file"], check=True)
    script = (
        'cd "$0"; ln -s "$1" $(printf "%064d" 1); ln -s "$2" $(printf "%064d" 2); mkfifo $(printf "%064d" 3)\n'
        'mkdir $(printf "%064d" 4); ln -s "$2" $(printf "%064d" 4)/link; ln -s /dev/zero $(printf "%064d" 5)\n'
        f'ln -s "$2" ../apt-lists; printf setuid > {sha256(b"setuid")}; chmod 4755 {sha256(b"setuid")}\n'
        f"ln -s {sha256(b'good')} $(printf '%064d' 6)"
    )
    bench.account.run(["sh", "-ec", script, blobs, secret, victim], check=True)
    argv = [bench.account.python, "-m", "runner.store", "--store", bench.store]
    assert bench.account.run([*argv, "ls"]).returncode == 0
    done = bench.account.run([*argv, *command], timeout=300)
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if command == ("verify",) else 0)
    assert secret.read_text() == "secret"
    assert (victim / "file").exists()
    left = [path.name for path in blobs.iterdir()]
    assert left == ([sha256(b"good")] if command == ("verify",) else [])
    if command == ("verify",):
        damaged = {json.loads(line)["key"] for line in done.stdout.splitlines()}
        assert damaged == {*(f"{number:064d}" for number in range(1, 7)), sha256(b"setuid")}
    else:
        assert not os.path.lexists(bench.store / "downloads" / "apt-lists")
