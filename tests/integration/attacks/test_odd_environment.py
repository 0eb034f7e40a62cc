"""Every command ends with a message and the right exit code in an environment that nobody wishes for."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import REPO

COMPOSE = f"{sys.executable} -m osbuild_compose"
COMMANDS = {
    "help": "--help",
    "render": "render web.yaml",
    "render resolved": "render --resolved web.yaml",
    "render explain": "render --explain web.yaml",
    "check": "check web.yaml",
    "check json": "check --json web.yaml",
    "plan": "plan web.yaml",
    "plan json": "plan --json web.yaml",
    "run": "run pipeline.json --store store",
    "run json": "run pipeline.json --json --store store",
    "distros": "distros",
    "stages": "stages list",
    "stage": "stages show users",
    "schema": "schema blueprint",
    "templates": "templates list",
    "template": "templates show debian",
    "cache ls": "cache ls --store store",
    "cache du": "cache du --json --store store",
    "cache verify": "cache verify --store store",
    "cache prune": "cache prune --keep 1G --store store",
    "init": "init --yes --force new.yaml",
    "import": "import --distro fedora-43 blueprint.toml",
    "inspect": "inspect tree",
    "completion": "completion bash",
}
# What a command prints is lost: all but these print something to standard output.
SILENT = {"check", "run", "cache verify", "cache prune"}


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("odd")
    (made / "web.yaml").write_text("name: web\ndistro: debian-12\npackages: [nginx]\n")
    (made / "pipeline.json").write_text('{"stages": [{"name": "org.osbuild.noop"}]}')
    (made / "blueprint.toml").write_text('name = "x"\n[[packages]]\nname = "vim"\n')
    (made / "tree/etc").mkdir(parents=True)
    (made / "tree/etc/os-release").write_text("ID=debian\n")
    done = run("run pipeline.json --store store", made)
    assert done.returncode == 0, done.stderr
    return made


def run(
    arguments: str, cwd: Path, around: str = "{} </dev/null", **environment: str | bytes | None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a shell line; None removes a variable."""
    variables: dict[str, str | bytes | None] = {**os.environ, "PYTHONPATH": str(REPO), "TERM": "dumb", **environment}
    return subprocess.run(
        ["bash", "-c", around.format(f"{COMPOSE} {arguments}")],
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        check=False,
        timeout=120,
    )


def check_told(done: subprocess.CompletedProcess[bytes], codes: Sequence[int]) -> None:
    errors = done.stderr.decode(errors="replace")
    assert "Traceback" not in errors, errors
    assert "Exception ignored" not in errors, errors
    assert done.returncode in codes, (done.returncode, errors)
    if 0 < done.returncode < 128:
        assert "rror: " in errors or not errors, errors


def test_standard_output_that_is_full(room: Path) -> None:
    for name in ("render", "check json", "run json", "stages", "cache ls", "help"):
        done = run(COMMANDS[name], room, "{} </dev/null >/dev/full")
        check_told(done, [2])
        assert b"error: cannot write to standard output: No space left on device\n" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_standard_output_that_is_closed(name: str, room: Path) -> None:
    done = run(COMMANDS[name], room, "{} </dev/null >&-")
    check_told(done, [0] if name in SILENT else [2])
    if 0 < done.returncode < 128:
        assert b"error: cannot write to standard output: it is closed\n" in done.stderr


@pytest.mark.parametrize("around", ["{} </dev/null 2>&-", "{} </dev/null 2>/dev/full", "{} <&- 2>&-"])
def test_standard_error_that_cannot_be_written(around: str, room: Path) -> None:
    """The result matters, not what is said about it."""
    for name in ("render", "check", "run", "init", "cache verify"):
        check_told(run(COMMANDS[name], room, around), [0])


def test_everything_closed(room: Path) -> None:
    for name in ("render", "check", "run json", "run"):
        check_told(run(COMMANDS[name], room, "{} <&- >&- 2>&-"), [0] if name in SILENT else [2])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_goes_away(name: str, room: Path) -> None:
    """Nobody reads what the command prints, so there is nothing to say."""
    done = run(COMMANDS[name], room, "set -o pipefail; {{ sleep 0.2; {} </dev/null; }} | true")
    check_told(done, [0] if name in SILENT else [128 + signal.SIGHUP])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_directory_that_was_deleted(name: str, room: Path, tmp_path: Path) -> None:
    around = f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; {{}} </dev/null"
    check_told(run(COMMANDS[name], room, around), [0, 2])


ENVIRONMENTS: dict[str, dict[str, str | bytes | None]] = {
    "no home": {"HOME": None, "XDG_CACHE_HOME": None},
    "a home that is not there": {"HOME": "/proc/nothing", "XDG_CACHE_HOME": None},
    "a relative home": {"HOME": "x", "XDG_CACHE_HOME": None},
    "a cache that is a device": {"XDG_CACHE_HOME": "/dev/null"},
    "a relative cache": {"XDG_CACHE_HOME": "x"},
    "no runtime directory": {"XDG_RUNTIME_DIR": "/proc/nothing"},
    "C": {"LANG": "C", "LC_ALL": "C"},
    "a locale that is not there": {"LC_ALL": "xx_YY.foo"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
    "UTF-16": {"PYTHONIOENCODING": "utf-16"},
    "an odd terminal": {"TERM": "\x1b[31m", "COLUMNS": "99999999999", "LINES": "x"},
    "no terminal": {"TERM": None, "COLUMNS": "\u00b2"},
    "bytes": {"COMPOSE_MIRROR": b"\xff\x1b[3m", "SUDO_USER": b"\xff"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_environments(environment: str, room: Path) -> None:
    """Each with those commands that ask for it."""
    for name in ("render", "check", "run json", "init", "stages", "distros"):
        may_fail = environment == "bytes" and name in ("render", "check")
        check_told(run(COMMANDS[name], room, **ENVIRONMENTS[environment]), [0, 2] if may_fail else [0])


@pytest.mark.parametrize("epoch", ["x", "-1", "1.5", "9" * 100, "\u00b2", "4294967296", " 1"])
def test_source_date_epoch(epoch: str, room: Path) -> None:
    done = run("run pipeline.json --store store", room, SOURCE_DATE_EPOCH=epoch)
    check_told(done, [2])
    assert b"SOURCE_DATE_EPOCH" in done.stderr


@pytest.mark.parametrize("option", ["check \\xff.yaml", "run \\xff", "import \\xff", "inspect \\xff", "boot \\xff"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_arguments_that_are_not_text(option: str, locale: str, room: Path) -> None:
    words = option.replace("\\xff", "$'\\xff\\xfe'")
    check_told(run(words, room, LC_ALL=locale), [2])


def test_a_store_whose_name_is_not_text(room: Path, tmp_path: Path) -> None:
    store = f"{tmp_path}/$'\\xff\\xfe'"
    check_told(run(f"run pipeline.json --store {store}", room), [0])
    for command in ("cache ls", "cache verify", "cache clear"):
        check_told(run(f"{command} --store {store}", room), [0])
    check_told(run(f"plan web.yaml --store {store}", room), [0])


KINDS = ("directory", "FIFO", "/dev/zero", "/dev/null", "huge", "socket", "closed", "unreadable")


@pytest.fixture(params=KINDS)
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "input"
    match request.param:
        case "directory":
            path.mkdir()
        case "FIFO":
            os.mkfifo(path)
        case "huge":
            with path.open("wb") as sparse:
                sparse.truncate(1 << 40)
        case "socket":
            subprocess.run(
                [sys.executable, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path],
                check=True,
            )
        case "closed":
            yield "/dev/fd/77"
            return
        case "unreadable":
            yield "/proc/self/mem"
            return
        case device:
            yield device
            return
    yield str(path)


@pytest.mark.parametrize(
    "command",
    [
        "check @",
        "render @",
        "build @",
        "plan @",
        "import --distro fedora-43 @",
        "run @ --store store",
        "check web.yaml --repo @",
        "check web.yaml --repo a=http://example.org/ --repo-key @",
        "init --yes --force --ssh-key @ new.yaml",
        "boot @",
        "cache ls --store @",
        "check web.yaml --templates @",
        "run pipeline.json --libdir @",
    ],
)
def test_what_is_no_input(command: str, no_file: str, room: Path) -> None:
    if command == "boot @" and Path(no_file).is_file():
        pytest.skip("an empty disk is one")
    done = run(command.replace("@", no_file), room, "ulimit -v 4000000; timeout 60 {} </dev/null")
    is_fine = command == "check web.yaml --templates @" and Path(no_file).is_dir()  # without any template
    check_told(done, [0] if is_fine else [0, 2] if command.startswith("import") and no_file == "/dev/null" else [2])


def test_pipes_of_a_shell_are_read(room: Path) -> None:
    assert run("check /dev/stdin", room, "cat web.yaml | {}").returncode == 0
    assert run("check", room, "{} <(cat web.yaml)").returncode == 0
    assert run("run - --store store", room, "cat pipeline.json | {}").returncode == 0
    assert run("run /dev/stdin --store store", room, "{} < pipeline.json").returncode == 0


def test_limits_of_the_process(room: Path) -> None:
    for limit, name in itertools.product(("-n 16", "-f 0"), ("check", "distros", "stages")):
        check_told(run(COMMANDS[name], room, f"ulimit {limit}; {{}} </dev/null"), [0, 1, 2])


def test_a_working_directory_that_may_not_be_read(room: Path, tmp_path: Path) -> None:
    shutil.copy(room / "web.yaml", tmp_path / "web.yaml")
    check_told(run(f"check {tmp_path / 'web.yaml'}", Path("/proc/self")), [0])
