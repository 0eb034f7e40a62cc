"""Programs in a sandbox that reach for files of the machine: keys, build roots that lead elsewhere, set-user-ID."""

import json
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.attacks.conftest import PRELUDE, REFUSED, SMALL_TREE, STAGE, Attack, attempt, last_line
from tests.integration.runner.conftest import Bench


def test_private_files_of_the_machine_are_not_readable(attack: Attack, hidden_files: list[Path]) -> None:
    """Not through any mount that the sandbox has, as /usr/local."""
    found = attack(f"show([outcome(open, path) for path in {[str(path) for path in hidden_files]!r}])")
    assert set(found) <= REFUSED


@pytest.fixture
def hidden_files() -> Iterator[list[Path]]:
    """Files with secrets in directories that a sandbox sees some of; as root, who may make them."""
    if os.geteuid() != 0:
        pytest.skip("only root can make such files")
    name = f"osbuild-compose-secret-{os.getpid()}"
    private = [Path(directory, name) for directory in ("/usr/local", "/etc/ssl/certs", "/etc/ssl/private")]
    # Not hidden by their mode.
    beside = [Path(directory, name) for directory in ("/etc/ssl", "/etc/pki", "/etc/pki/tls")]
    made = []
    try:
        for path in (*private, *beside):
            if path.parent.is_dir():
                path.touch(mode=0o600, exist_ok=False)
                made.append(path)
        for path in made:
            path.chmod(0o644 if path in beside else 0o600)
        yield made
    finally:
        for path in made:
            path.unlink()


def test_a_hostile_build_root_shows_nothing_of_the_machine(bench: Bench, secret: Path) -> None:
    """A tree that stages run in, whose symlinks lead to directories of the machine."""
    secret.chmod(0o644)
    links = {"alternatives": "/etc/ssh", "rpm": str(secret.parent), "login.defs": str(secret), "pki": "/", "ssl": ".."}
    bench.program(
        "trap",
        f"{SMALL_TREE}\n"
        f"for name, target in {links!r}.items(): os.symlink(target, tree + '/etc/' + name)\n"
        "os.unlink(tree + '/bin'); os.symlink('../../../../bin', tree + '/bin')",
    )
    code = (
        "shown = {}\n"
        f"for name in {list(links)!r}:\n"
        "    path = '/etc/' + name\n"
        "    if os.path.isdir(path): shown[name] = os.listdir(path)\n"
        "    elif os.path.isfile(path): shown[name] = open(path).read()\n"
        "show([shown, sorted(os.listdir('/'))])"
    )
    bench.program("look", f"{PRELUDE}{STAGE}{code}")
    ran = bench.run("look", build={"stages": [{"name": "trap"}]})
    shown, top = last_line(ran)
    assert "secret" not in json.dumps(shown)
    assert "home" not in top
    # /usr is not taken from where a link leads.
    bench.program("trap", "import json, os, sys\nos.symlink('/usr', json.load(sys.stdin)['tree'] + '/usr')")
    ran = bench.run("look", build={"stages": [{"name": "trap"}]})
    assert ran.returncode == 1
    assert "the build root has no directory /usr" in ran.result["error"]["message"]


def test_what_a_stage_needs_can_be_read_whatever_the_umask(bench: Bench) -> None:
    code = (
        "unreadable = []\n"
        "for where, directories, names in os.walk('/etc'):\n"
        "    for path in (os.path.join(where, name) for name in directories + names):\n"
        "        if os.path.exists(path) and not os.access(path, os.R_OK): unreadable.append(path)\n"
        "show([unreadable, open('/etc/passwd').read(), os.access(sys.argv[0], os.R_OK)])"
    )
    bench.program("look", f"{PRELUDE}{STAGE}{code}")
    script = f'umask 077; exec {bench.account.python} -m runner "$@"'
    document = json.dumps({"stages": [{"name": "look"}]})
    done = bench.account.run(["sh", "-c", script, "sh", *bench.argv("--json")], input=document)
    assert done.returncode == 0, done.stdout
    unreadable, passwd, program = json.loads(json.loads(done.stdout)["stages"][0]["output"].splitlines()[-1])
    assert unreadable == []
    assert passwd.startswith("root:")
    assert program


def test_set_user_id_programs_of_a_tree_are_of_no_account(bench: Bench) -> None:
    """A program that a stage leaves, for another user of the machine to run while a build works on the tree."""
    code = (
        "path = tree + '/become-root'\n"
        "open(path, 'w').close(); os.chmod(path, 0o6755)\n"
        "other = tree + '/become-daemon'\n"
        "open(other, 'w').close(); os.chown(other, 1, 1); os.chmod(other, 0o6755)\n"
        "show([oct(os.stat(p).st_mode) for p in (path, other)])"
    )
    assert attempt(bench, code) == ["0o106755", "0o106755"]
    ids = {entry.pw_uid for entry in pwd.getpwall()}
    for path in bench.place.rglob("*"):
        status = path.lstat()
        if status.st_mode & 0o6000 and path.is_file():
            assert status.st_uid not in ids, path
