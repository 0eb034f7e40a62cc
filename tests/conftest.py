"""What all tests share: the accounts that the product is tried as, and an installation that any account can read."""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

REPO = Path(__file__).resolve().parent.parent
USER = "compose-test"
STORE_LIMIT = 12 << 30  # bytes
# Keep the store that tests share small, and memory free: unless another test run is using it.
TIDY = f"""
import sys
from pathlib import Path
from runner.sandbox import namespace
from runner.store import maintenance
from runner.store.scratch_place import clear_scratch
from runner.store.store import Store

if (Path(sys.argv[1]) / "layers").is_dir():
    namespace.enter()
    store = Store(Path(sys.argv[1]))
    if store.only_user():
        maintenance.prune(store, maintenance.entries(store), keep_bytes={STORE_LIMIT})
        clear_scratch(store)
    store.close()
"""
# Tests that share what takes long to make, by the beginnings of their paths; the longest first.
TOGETHER = (
    tuple(f"tests/boot/test_{name}.py" for name in ("debian", "firmware", "systemd_boot", "containers")),
    ("tests/boot/",),  # the others
    ("tests/integration/rpm/",),
)


class Together(LoadScopeScheduling):
    """Gives a worker of pytest-xdist the tests of a file, or of several whose tests share built trees."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return next((group[0] for group in TOGETHER if path.startswith(group)), path)


def pytest_configure() -> None:
    """Let programs that tests start take signals which those that started the tests ignore, as nohup(1) does."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)  # what is caught has its default in a new program


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, since tests wait for disks, clocks and each other for a part of their time."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """For `make test`, which runs tests on every core."""
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is idle at the end."""
    order = (*TOGETHER, ("tests/integration/",), ("",))
    items.sort(key=lambda item: next(place for place, part in enumerate(order) if item.nodeid.startswith(part)))


@dataclass(frozen=True)
class Account:
    """Who runs a command: root, or an ordinary user with a range of subordinate ids."""

    name: str
    python: Path
    home: Path

    @property
    def is_root(self) -> bool:
        return self.name == "root"

    @property
    def store(self) -> Path:
        """The store that tests share, kept between runs so that trees are built once."""
        return store_of(self.name)

    def argv(self, argv: Sequence[str | Path]) -> list[str]:
        """The argument list that runs `argv` as this account."""
        texts = [str(part) for part in argv]
        if os.geteuid() != 0 or self.is_root:
            return texts
        return ["setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--init-groups", "--", *texts]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """A user's plain environment."""
        keep = {key: os.environ[key] for key in ("PATH", "LANG", "CI") if key in os.environ}
        return {**keep, "HOME": str(self.home), **(extra or {})}

    def run(
        self, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, check: bool = False, **kwargs: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, its output captured as text."""
        kwargs = {"capture_output": True, "text": True, "timeout": 900, "cwd": self.home, **kwargs}
        return subprocess.run(self.argv(argv), check=check, env=self.environment(env), **kwargs)

    def runner(self, *args: str | Path, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run `python3 -m runner`."""
        return self.run([self.python, "-m", "runner", *args], **kwargs)

    def compose(self, *args: str | Path, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run `compose`."""
        return self.run([self.python.parent / "compose", *args], **kwargs)


accounts: dict[str, Account] = {}  # those that were used


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    """Each test begins with the same, whatever the machine's is and others set: stages run as functions set theirs."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def scratch_room() -> Iterator[Path]:
    """A directory on disk that every account can reach; removed at the end, with all that accounts left in it."""
    path = Path(subprocess.check_output(["mktemp", "-d", "/var/tmp/osbuild-compose-tests-XXXXXX"], text=True).strip())
    path.chmod(0o755)
    yield path
    for account in accounts.values():
        account.run([account.python, "-c", TIDY, account.store])
    accounts.clear()
    remove(path)


@pytest.fixture(scope="session")
def installed(scratch_room: Path) -> Path:
    """The Python of a virtual environment with the wheel installed: what a user has, away from the checkout."""
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    venv = scratch_room / "venv"
    wheels = scratch_room / "wheels"
    quiet = ["-q", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "venv", venv], check=True)
    pip = [venv / "bin" / "python", "-m", "pip"]
    subprocess.run([*pip, "wheel", *quiet, "--no-deps", "-w", wheels, REPO], check=True)
    subprocess.run([*pip, "install", *quiet, *wheels.glob("*.whl")], check=True)
    return venv / "bin" / "python"


def ordinary_user() -> str:
    """The name of a user with subordinate ids, made if this is root and there is none yet."""
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    with (REPO / "pyproject.toml").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be about to make it too
        try:
            pwd.getpwnam(USER)
        except KeyError:
            subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", USER], check=True)
        for table, option in (("/etc/subuid", "--add-subuids"), ("/etc/subgid", "--add-subgids")):
            text = Path(table).read_text() if Path(table).exists() else ""
            if not any(line.startswith(f"{USER}:") for line in text.splitlines()):
                subprocess.run(["usermod", option, "1000000-1065535", USER], check=True)
    return USER


def store_of(name: str) -> Path:
    """The account's store that tests share: in the directory COMPOSE_TEST_STORE, or else in the account's own cache.

    A new directory makes a cold run. Tests of the cache itself have stores of their own.
    """
    chosen = os.environ.get("COMPOSE_TEST_STORE")
    home = Path(pwd.getpwnam(name).pw_dir)
    return (Path(chosen) if chosen else home / ".cache/osbuild-compose-tests") / f"store-{name}"


def make_account(kind: str, scratch_room: Path, installed: Path) -> Account:
    """The account `root` or `user`, with a fresh home of its own. Skips where this machine can't give it."""
    if kind == "root":
        if os.geteuid() != 0:
            pytest.skip("these tests are not run by root")
        name = "root"
    else:
        name = ordinary_user()
    home = scratch_room / f"home-{kind}"
    home.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(home, name)
    account = Account(name, installed, home)
    if "COMPOSE_TEST_STORE" in os.environ:
        account.store.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(account.store, name)
    else:
        account.run(["mkdir", "-p", "-m", "700", account.store], check=True)
    return accounts.setdefault(name, account)


@pytest.fixture(params=["root", "user"])
def account(request: pytest.FixtureRequest, scratch_room: Path, installed: Path) -> Account:
    """Each of the accounts in turn."""
    return make_account(request.param, scratch_room, installed)


@pytest.fixture
def user(scratch_room: Path, installed: Path) -> Account:
    """The ordinary user."""
    return make_account("user", scratch_room, installed)


@pytest.fixture
def place(account: Account) -> Iterator[Path]:
    """A new directory of the account's, removed afterwards."""
    path = Path(subprocess.check_output(["mktemp", "-d", account.home / "test-XXXXXX"], text=True).strip())
    path.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(path, account.name)
    yield path
    remove(path)


def remove(path: Path) -> None:
    """Remove a directory, in it perhaps files of an ordinary user's subordinate ids."""
    points = (Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines())
    mounted = [point for point in points if point.is_relative_to(path.resolve())]
    assert mounted == [], "rm would empty what is mounted there"
    enter = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-auto", "--map-root-user"]
    subprocess.run([*enter, "rm", "-rf", "--one-file-system", path], check=True)
