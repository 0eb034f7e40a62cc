"""Stages that try to break out: as root and as an ordinary user, none may succeed."""

import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from runner.sandbox import bwrap
from tests.integration.attacks.conftest import PRELUDE, STAGE, attempt
from tests.integration.runner.conftest import Bench


def test_there_is_no_network(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = "print(json.dumps([outcome(socket.create_connection, ('127.0.0.1', options['port']), 3),\n"
        code += "  sorted(os.listdir('/sys/class/net')) if os.path.isdir('/sys/class/net') else []]))"
        reached, interfaces = attempt(bench, code, {"port": port})
    assert reached in ("ECONNREFUSED", "ENETUNREACH")
    assert interfaces == []


def test_abstract_sockets_of_the_host_are_out_of_reach(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0osbuild-compose-test")
        server.listen()
        code = "s = socket.socket(socket.AF_UNIX)\nprint(json.dumps(outcome(s.connect, '\\0osbuild-compose-test')))"
        assert attempt(bench, code) == "ECONNREFUSED"


def test_only_a_stage_that_says_so_has_the_network(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = "print(json.dumps(outcome(socket.create_connection, ('127.0.0.1', options['port']), 3)))"
        assert attempt(bench, code, {"port": server.getsockname()[1]}, network=True) == "done"


def test_the_hosts_files_cannot_be_seen(bench: Bench) -> None:
    secret = bench.place / "secret"
    secret.write_text("secret")
    code = (
        "paths = [options['secret'], '/etc/shadow', '/etc/ssh', '/home', '/boot', '/sys', '/proc/1/root/home']\n"
        "shown = sorted(os.listdir('/'))\n"
        "print(json.dumps([[p for p in paths if os.path.exists(p)], shown, sorted(os.listdir('/root'))]))"
    )
    seen, top, home = attempt(bench, code, {"secret": str(secret)})
    assert seen == []
    assert set(top) <= {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "tmp",
                        "usr", "var"}  # fmt: skip
    assert home == []


def test_the_hosts_etc_is_not_the_sandboxs(bench: Bench) -> None:
    code = "print(json.dumps([open('/etc/passwd').read(), open('/etc/hostname').read(), os.uname().nodename]))"
    passwd, hostname, node = attempt(bench, code)
    assert [line.split(":")[0] for line in passwd.splitlines()] == ["root", "nobody"]
    assert hostname.strip() == node == "localhost"


def test_the_hosts_processes_cannot_be_seen_or_signalled(bench: Bench) -> None:
    with subprocess.Popen(bench.account.argv(["sleep", "600"])) as victim:
        try:
            code = (
                "pids = [int(n) for n in os.listdir('/proc') if n.isdigit()]\n"
                "print(json.dumps([len(pids), outcome(os.kill, options['pid'], 9), outcome(os.kill, -1, 0)]))"
            )
            count, killed, _ = attempt(bench, code, {"pid": victim.pid})
            assert count <= 4
            assert killed == "ESRCH"
            assert victim.poll() is None
        finally:
            victim.kill()


def test_nothing_outside_the_tree_and_its_own_places_can_be_written(bench: Bench) -> None:
    code = (
        "places = ['/', '/usr', '/usr/bin', '/etc', '/bin', '/run/osbuild/lib/stages', tree,\n"
        "          '/run/osbuild/python/stagelib', '/proc/sys/kernel', '/dev', '/tmp', '/var', '/var/tmp', '/run']\n"
        "print(json.dumps({p: outcome(open, p + '/probe', 'w') for p in places}))"
    )
    found = attempt(bench, code)
    allowed = {place for place, how in found.items() if how == "done"}
    # "/" and /dev are the sandbox's own, in memory, and gone with it.
    assert allowed <= {"/", "/dev", "/tmp", "/var", "/var/tmp", "/run", "/run/osbuild/tree"}
    assert {"/tmp", "/var", "/run/osbuild/tree"} <= allowed
    assert not Path("/probe").exists()
    assert not Path("/tmp/probe").exists()
    assert not Path("/var/probe").exists()


def test_stages_do_not_see_each_others_leavings(bench: Bench) -> None:
    bench.program("leave", PRELUDE + STAGE + "[open(p + '/left', 'w') for p in ('/tmp', '/var/tmp', '/run')]")
    bench.program(
        "look", PRELUDE + STAGE + "print([p for p in ('/tmp', '/var/tmp', '/run') if os.path.exists(p + '/left')])"
    )
    assert bench.run("leave", "look").output() == "[]"


def test_a_process_left_running_ends_with_its_stage(bench: Bench) -> None:
    mark = f"osbuild-leftover-{os.getpid()}"
    code = (
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.close(1); os.close(2)\n"
        "        os.execv('/bin/sh', ['sh', '-c', 'sleep 600; : ' + options['mark']])\n"
        "    os._exit(0)\n"
        "print('{}')"
    )
    started = time.monotonic()
    attempt(bench, code, {"mark": mark})
    assert time.monotonic() - started < 60
    listing = subprocess.run(["ps", "ax", "-o", "args"], check=True, capture_output=True, text=True).stdout
    assert mark not in listing


@pytest.mark.parametrize("node", ["/tmp/device", "/run/osbuild/tree/device", "/dev/device", "/var/device"])
def test_no_device_can_be_had(bench: Bench, node: str) -> None:
    """/dev/vda's number or any other block device: neither made nor opened, also with CAP_MKNOD asked for."""
    code = (
        "made = outcome(os.mknod, options['place'], 0o60600, os.makedev(254, 0))\n"
        "opened = outcome(os.open, options['place'], os.O_RDONLY)\n"
        "print(json.dumps([made, opened]))"
    )
    made, opened = attempt(bench, code, {"place": node})
    assert made == "EPERM"
    assert opened == "ENOENT"
    made, opened = attempt(bench, code, {"place": node}, capabilities=["CAP_MKNOD"])
    assert opened in ("EACCES", "EPERM", "ENOENT")


def test_only_harmless_devices_are_there(bench: Bench) -> None:
    code = "print(json.dumps(sorted(n for n in os.listdir('/dev') if not os.path.islink('/dev/' + n))))"
    found = set(attempt(bench, code))
    assert found <= {"console", "full", "null", "ptmx", "pts", "random", "shm", "tty", "urandom", "zero"}


def test_capabilities_are_those_written_down(bench: Bench) -> None:
    names = Path("/usr/include/linux/capability.h")
    code = "print(json.dumps([l.split()[1] for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm'))]))"
    sets = [int(value, 16) for value in attempt(bench, code)]
    assert sets[0] == sets[1]
    if not names.exists():
        pytest.skip("linux-libc-dev, which has linux/capability.h, is not installed")
    numbers = {
        line.split()[1]: int(line.split()[2])
        for line in names.read_text().splitlines()
        if line.startswith("#define CAP_") and line.split()[2].isdigit()
    }
    assert sets[0] == sum(1 << numbers[name] for name in bwrap.CAPABILITIES)


def test_mounting_and_new_user_namespaces_are_refused(bench: Bench) -> None:
    code = (
        "mount = libc.mount(b'none', b'/tmp', b'tmpfs', 0, None)\n"
        "namespace = syscall(272, 0x10000000)\n"
        "keys = syscall(250, 0, -3, 0)\n"
        "print(json.dumps([mount, namespace, keys]))"
    )
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers of system calls in this test are those of x86_64")
    assert attempt(bench, code) == [-1, "EPERM", "EPERM"]


def test_set_user_id_programs_give_nothing(bench: Bench) -> None:
    code = "print(json.dumps([l.split()[1] for l in open('/proc/self/status') if l.startswith('NoNewPrivs')]))"
    assert attempt(bench, code) == ["1"]


def test_environment_and_umask_do_not_leak_in(bench: Bench) -> None:
    bench.program("attempt", PRELUDE + STAGE + "print(json.dumps([dict(os.environ), os.umask(0)]))")
    document = json.dumps({"stages": [{"name": "attempt"}]})
    script = f'umask 077; exec {bench.account.python} -m runner "$@"'
    done = bench.account.run(
        ["sh", "-c", script, "sh", *bench.argv("--json")],
        input=document,
        env={"SECRET": "x", "TMPDIR": "/nonexistent", "LANG": "xx", "LD_PRELOAD": "", "PYTHONSTARTUP": "/x"},
    )
    environment, umask = json.loads(json.loads(done.stdout)["stages"][0]["output"])
    assert umask == 0o022
    own = set(bwrap.environment(0)) | {"COMPOSE_PROGRESS_FD", "PWD", "LC_CTYPE"}
    assert set(environment) <= own
    assert environment["SOURCE_DATE_EPOCH"] == "1735689600"


def test_the_assembler_cannot_write_to_the_tree(bench: Bench) -> None:
    code = (
        "paths = [tree + '/new', tree + '/etc/file']\n"
        "found = [outcome(open, p, 'w') for p in paths] + [outcome(os.chmod, tree + '/etc', 0o700)]\n"
        "open(args['output_dir'] + '/result', 'w').write(json.dumps(found))"
    )
    bench.program("write", PRELUDE + STAGE + "os.mkdir(tree + '/etc'); open(tree + '/etc/file', 'w').write('1')")
    bench.program("attempt", PRELUDE + STAGE + code, kind="assemblers")
    out = bench.place / "out"
    for stages in (["write"], ["write", ("org.osbuild.noop", {})]):  # one layer, and an overlay of two
        ran = bench.run(*stages, assembler="attempt", args=("--output-directory", out))
        assert ran.returncode == 0, ran.result
        assert json.loads((out / "result").read_text()) == ["EROFS"] * 3


def test_a_symlink_of_the_tree_never_leads_to_the_host(bench: Bench) -> None:
    """`etc -> /etc` in the tree: what writes etc/hostname must not touch the sandbox's or the host's /etc."""
    outside = bench.place / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    bench.program("trap", PRELUDE + STAGE + "os.symlink(options['to'], tree + '/etc')")
    before = Path("/etc/hostname").read_bytes() if Path("/etc/hostname").exists() else None
    for target in ("/etc", str(outside)):
        ran = bench.run(("trap", {"to": target}), ("org.osbuild.hostname", {"hostname": "trapped"}))
        assert ran.returncode in (0, 1), ran.result
    assert list(outside.iterdir()) == []
    assert (Path("/etc/hostname").read_bytes() if Path("/etc/hostname").exists() else None) == before


def test_descriptors_of_the_caller_do_not_leak_in(bench: Bench) -> None:
    code = (
        "print(json.dumps(sorted(os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n != '3')))"
    )
    found = attempt(bench, code)
    # "user:" is the sandbox's own user namespace, which bubblewrap has entered by this descriptor.
    harmless = ("pipe:", "/memfd:", "/proc/", "/dev/null", "user:")
    assert [name for name in found if not name.startswith(harmless)] == []


def test_the_sandbox_leaves_threads_and_time_alone(bench: Bench) -> None:
    """The stage may use threads (clone) although clone3 is refused."""
    code = "import threading\nt = threading.Thread(target=lambda: None); t.start(); t.join()\nprint('1')"
    assert attempt(bench, code) == 1
    assert threading.active_count() >= 1
