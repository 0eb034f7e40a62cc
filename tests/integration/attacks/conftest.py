"""Running attack programs, given as text, in a stage's sandbox and in the one that packages' scripts run in.

Every test that takes `bench` runs as root and as an ordinary user; a test is skipped for an account that the machine
lacks. The programs are Python; PRELUDE goes before each.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Account
from tests.integration.apt_repository import Contents, Key, Repository, served
from tests.integration.apt_sandbox import debian, host
from tests.integration.runner.conftest import Bench, Ran, _no_mount_is_left  # noqa: F401 - a fixture for all tests

PRELUDE = """
import ctypes, errno, json, os, signal, socket, stat, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
def outcome(function, *arguments, **named):
    '''"done", or the name of the error: EPERM, ENOENT and so on.'''
    try:
        function(*arguments, **named)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def syscall(*arguments):
    '''The same for a system call by its number.'''
    return "done" if libc.syscall(*arguments) != -1 else errno.errorcode[ctypes.get_errno()]
def write(path, data):
    '''Write to what exists, in one write.'''
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
def read(path, size=4096):
    '''The beginning of a file, without waiting for more.'''
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)
def show(value):
    '''Print the result of the attack, which must be the last line.'''
    print()
    print(json.dumps(value))
"""
# What a hostile stage may ask for in its meta.json.
ALL_CAPABILITIES = [
    f"CAP_{name}"
    for name in (
        "AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "IPC_LOCK", "IPC_OWNER", "LEASE",
        "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BROADCAST", "NET_RAW", "PERFMON",
        "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
    )
]  # fmt: skip
REFUSED = {"EACCES", "EPERM", "EROFS", "ENOENT"}
STAGE = "args = json.load(sys.stdin)\ntree, options = args['tree'], args['options']\n"

# Makes a tree that holds /bin/sh and the Python that this program runs with, and no other package's files.
SMALL_TREE = """
import ctypes, json, os, shutil, socket, subprocess, sys, sysconfig
tree = json.load(sys.stdin)["tree"]
mapped = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line and line.split()[-1].startswith("/")}
sh = subprocess.run(["sh", "-c", "while read l; do echo $l; done < /proc/self/maps"], capture_output=True, text=True)
mapped |= {line.split()[-1] for line in sh.stdout.splitlines() if ".so" in line and line.split()[-1].startswith("/")}
names = set()
for path in mapped:  # under each name that it has
    for name in os.listdir(os.path.dirname(path)):
        other = os.path.join(os.path.dirname(path), name)
        if os.path.isfile(other) and os.path.samefile(path, other):
            names.add(other)
        for directory in ("/usr/lib64", "/usr/lib"):  # where the kernel looks for the loader
            if name.startswith("ld-linux") and os.path.exists(os.path.join(directory, name)):
                names.add(os.path.join(directory, name))
for path in names | {"/usr/bin/sh", "/usr/bin/python3"}:
    os.makedirs(tree + os.path.dirname(path), exist_ok=True)
    shutil.copy(path, tree + path)
library = sysconfig.get_path("stdlib")
unneeded = shutil.ignore_patterns("__pycache__", "test", "tests", "idlelib", "lib2to3", "ensurepip", "pydoc_data",
                                  "asyncio", "tkinter", "site-packages", "dist-packages", "config-*", "distutils")
shutil.copytree(library, tree + library, ignore=unneeded, symlinks=True, dirs_exist_ok=True)
for name in ("bin", "sbin", "lib", "lib64"):
    os.makedirs(tree + "/usr/" + name, exist_ok=True)
    os.symlink("usr/" + name, tree + "/" + name)
for name in ("etc", "root", "var", "proc", "sys", "dev", "run", "tmp"):
    os.mkdir(tree + "/" + name)
"""


Attack = Callable[[str], Any]


def attempt(bench: Bench, code: str, options: Any = None, **meta: Any) -> Any:
    """Run `code` as a stage, which must succeed; what it prints last is JSON.

    The stage has `tree`, `options` and all that PRELUDE defines. meta: what its meta.json says, for instance
    network=True or capabilities=["CAP_SYS_ADMIN"].
    """
    return last_line(run_stage(bench, code, options, **meta))


def run_stage(bench: Bench, code: str, options: Any = None, **meta: Any) -> Ran:
    """Run `code` as a stage; it may fail."""
    bench.program("attempt", PRELUDE + STAGE + code, **meta)
    return bench.run(("attempt", options or {}))


def attempt_in_tree(bench: Bench, code: str) -> Any:
    """Run `code` as packages' scripts run: in a small tree, inside the nested sandbox. Its last line is JSON."""
    return last_line(run_in_tree(bench, code))


def run_in_tree(bench: Bench, code: str) -> Ran:
    """Run `code` as packages' scripts run; it may fail."""
    bench.program("small-tree", SMALL_TREE)
    script = f"#!/usr/bin/python3\n{PRELUDE}{code}"
    return bench.run("small-tree", ("org.osbuild.script", {"script": script}))


def last_line(ran: Ran) -> Any:
    """The JSON in the last line of the log of a run that succeeded."""
    assert ran.returncode == 0, json.dumps(ran.result, indent=1) + ran.stderr
    return json.loads(ran.output().splitlines()[-1])


# -- packages ----------------------------------------------------------------------------------------------------------


@contextmanager
def packages(place: Path, contents: Mapping[str, Contents]) -> Iterator[dict[str, Any]]:
    """Serve hostile packages; gives the options of the apt stage that installs them, on top of debian_tree()."""
    repository = Repository(place / "repository", Key(place / "key"))
    for name, what in contents.items():
        repository.add(name, what)
    repository.publish()
    with served(repository.root) as url:
        mine = {"url": url, "suites": ["test"], "components": ["main"], "keys": [repository.key.armoured]}
        yield {"architecture": "amd64", "repositories": [mine], "packages": list(contents)}


def debian_tree() -> tuple[str, dict[str, Any]]:
    """The stage that installs a minimal Debian from this machine's mirror. Skips if there is none."""
    if not host().security or not shutil.which("apt-get"):
        pytest.skip("this machine's apt has no Debian mirror")
    options = {"architecture": "amd64", "repositories": debian("bookworm"), "packages": ["dpkg", "python3-minimal"]}
    return "org.osbuild-compose.apt", options


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(account: Account, place: Path) -> Bench:
    """A store and a libdir, as root and as an ordinary user; the store is private to the test."""
    return Bench(account, place)


@pytest.fixture
def shared_bench(account: Account, place: Path) -> Bench:
    """The same with the store that tests share, for trees that take long to make."""
    return SharedBench(account, place)


class SharedBench(Bench):
    """A bench with the account's shared store."""

    @property
    def store(self) -> Path:
        return self.account.store


@pytest.fixture
def secret(bench: Bench) -> Path:
    """A file that only the account can read."""
    path = bench.place / "secret"
    path.write_text("secret")
    subprocess.run(["chmod", "600", path], check=True)
    shutil.chown(path, bench.account.name)
    return path


@pytest.fixture(params=["stage", "all capabilities", "network", "script of a package"])
def attack(request: pytest.FixtureRequest, bench: Bench) -> Attack:
    """Runs a program in one of the places where hostile code runs, and gives what it shows."""
    kind = request.param
    if kind == "script of a package":
        return lambda code: attempt_in_tree(bench, code)
    capabilities = [] if kind == "stage" else ALL_CAPABILITIES
    return lambda code: attempt(bench, code, capabilities=capabilities, network=kind == "network")
