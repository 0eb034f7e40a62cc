"""The command line as a person runs it: exit codes, what is on standard output, no tracebacks."""

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.cli import app
from osbuild_compose.document.schema import schema_files
from tests.integration.cli.commands import REPO, compose, fine, wrong

SAMPLE = REPO / "blueprints/debian-minimal.yaml"
FEDORA = REPO / "blueprints/fedora-web-server.yaml"
# A pipeline that needs no tools, no network and no privileges to be planned or refused.
NOOP = {"stages": [{"name": "org.osbuild.noop", "options": {}}]}


def test_help_lists_the_commands_and_imports_nothing_heavy() -> None:
    script = "import sys\nfrom osbuild_compose.cli import main\nmain(['--help'])\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    for command in ("boot", "build", "cache", "check", "distros", "plan", "render", "run"):
        assert f"  {command} " in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2]  # all of a summary is to be read
    heavy = {"rich", "jinja2", "jsonschema", "ruamel.yaml", "pydantic"}
    assert heavy.isdisjoint(done.stdout.splitlines()[-1].split())


def test_the_version_is_that_of_the_package() -> None:
    assert fine("--version") == f"compose {importlib.metadata.version('osbuild-compose')}\n"


@pytest.mark.parametrize("group", ["cache", "templates", "stages"])
def test_help_of_a_group_cuts_off_no_summary(group: str) -> None:
    assert "..." not in fine(group, "--help").partition("Commands:")[2]


def test_formats_of_the_command_line_are_the_blueprints() -> None:
    assert app.Format is Format
    in_schema = schema_files.load("blueprint")["definitions"]["format"]["enum"]
    assert in_schema == [str(item) for item in Format]


def test_render_prints_json_and_nothing_else() -> None:
    done = compose("render", SAMPLE, "--format", "raw", "--mirror", "http://m.example/debian")
    assert done.returncode == 0
    assert done.stderr == ""
    pipeline = json.loads(done.stdout)
    assert pipeline["assembler"]["options"]["format"] == "raw"
    assert pipeline["stages"][0]["options"]["repositories"][0]["url"] == "http://m.example/debian"
    assert done.stdout == json.dumps(pipeline, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_mirror_of_the_environment() -> None:
    done = compose(
        "render", SAMPLE, COMPOSE_MIRROR="http://e.example/debian", COMPOSE_SECURITY_MIRROR="http://s.example"
    )
    urls = [item["url"] for item in json.loads(done.stdout)["stages"][0]["options"]["repositories"]]
    assert urls == ["http://e.example/debian", "http://s.example"]


def test_repositories_of_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    arguments = ["--repo", "a=http://a.example/os", "--repo-key", tmp_path / "key"]
    done = compose("render", FEDORA, *arguments)
    assert done.returncode == 0, done.stderr
    repos = json.loads(done.stdout)["stages"][0]["options"]["repos"]
    assert repos == [{"baseurl": "http://a.example/os", "gpgkey": "-----BEGIN PGP PUBLIC KEY BLOCK-----\n"}]
    wrong(compose("render", SAMPLE, *arguments), "takes packages from Debian repositories")
    wrong(
        compose("render", FEDORA, "--security-mirror", "http://a"), "fedora-43 has no mirrors of its own for security"
    )
    wrong(compose("render", FEDORA, "--repo-key", "gone"), "--repo-key is the key of a --repo")


def test_set() -> None:
    done = compose("render", SAMPLE, "--set", "disk.size=1GiB", "--set", "hostname=h")
    assert json.loads(done.stdout)["assembler"]["options"]["size"] == 1024**3


def test_check() -> None:
    done = compose("check", SAMPLE, SAMPLE.with_name("debian-web-server.yaml"))
    assert done.returncode == 0
    assert done.stdout == ""
    assert "debian-minimal.yaml: fine" in done.stderr


def test_check_tells_the_errors_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("nam: a\n")
    (tmp_path / "b.yaml").write_text("a: [\n")
    done = compose("check", "a.yaml", "b.yaml", "gone.yaml", cwd=tmp_path)
    wrong(done, "a.yaml:1:1: error: unknown key `nam`\n    nam: a\n    ^^^\n  hint: did you mean `name`?\n")
    assert "b.yaml:2:1: error: not valid YAML" in done.stderr
    assert "error: there is no file gone.yaml" in done.stderr
    assert done.stderr.endswith("errors\n")


def test_an_architecture_that_is_not_supported_fails_in_check(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndistro: debian-12\narch: aarch64\n")
    wrong(compose("check", "a.yaml", cwd=tmp_path), "a.yaml:3:7: error: debian-12 cannot be built for aarch64")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "--templates", "/nowhere", str(SAMPLE)], "there is no directory /nowhere"),
        (["render", str(SAMPLE), "--mirror", "ftp://a"], "--mirror: ftp://a is not an address"),
        (["render", str(SAMPLE), "--set", "disk"], "expected key=value"),
        (["build", str(SAMPLE), str(SAMPLE)], "would be debian-minimal.qcow2"),
        (["build", str(SAMPLE), "-o", "/proc/x"], "cannot create the directory /proc/x"),
        (["build"], "no blueprint is named"),
        (["build", "--format", "floppy", str(SAMPLE)], "floppy"),
        (["build", "--format", "ami", str(SAMPLE)], "there is no format ami; did you mean `raw`?"),
        (["render", "--format", "image-installer", str(SAMPLE)], "installers are not made here"),
        (["bild"], "No such command"),
        (["boot", "/nowhere.qcow2"], "cannot boot /nowhere.qcow2: No such file or directory"),
        (["boot", "/dev/null", "-p", "80"], "--port 80: want HOST:GUEST"),
        (["boot", "/dev/null", "-p", "8080:99999"], "--port 8080:99999: want HOST:GUEST"),
        (["run", "/nowhere.json"], "/nowhere.json: cannot be read"),
    ],
)
def test_wrong_input(arguments: list[str], message: str) -> None:
    wrong(compose(*arguments), message)


def test_distros() -> None:
    assert "debian-12     Debian 12 (bookworm)  x86_64\n" in compose("distros").stdout
    rows = json.loads(compose("distros", "--json").stdout)
    assert {"name": "debian-13", "title": "Debian 13 (trixie)", "architectures": ["x86_64"]} in rows


def test_plan(tmp_path: Path) -> None:
    done = compose("plan", SAMPLE, "--store", tmp_path / "store")
    assert done.returncode == 0, done.stderr
    heading, first, *_, last = done.stdout.splitlines()
    assert heading == "debian-minimal: never built with this store"
    assert first.split()[:4] == ["run", "install", "the", "base"]
    assert re.fullmatch(r"\d+ run, 0 from the store", last)
    assert "\n  kernel  linux-image-cloud-amd64  (has drivers for virtual machines: qcow2)\n" in done.stdout
    actions = json.loads(compose("plan", SAMPLE, "--store", tmp_path / "store", "--json").stdout)["actions"]
    assert actions[-1]["name"] == "org.osbuild.qemu"
    assert {action["kind"] for action in actions} == {"run"}


def test_a_runner_that_refuses_the_pipeline() -> None:
    wrong(compose("run", "-", stdin='{"stages": [{"name": "no.such.stage"}]}'), "no.such.stage")
    wrong(compose("run", "-", stdin="{"), "")


def test_a_directory_called_runner_where_the_user_stands_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner/__init__.py").write_text("")
    (tmp_path / "runner/__main__.py").write_text("raise SystemExit(77)")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "osbuild_compose", "plan", str(SAMPLE), "--store", "store"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    assert done.returncode == 0, done.stderr


# The real runner is tried in tests/integration. Here a process stands in for it where the real one would have to be
# made to fail in ways that it takes care not to: to die without a word, to hang, to say things of a later version.
STAND_IN = """
import json, os, signal, sys, time
fd = int(sys.argv[sys.argv.index("--monitor-fd") + 1])
signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
def tell(**event):
    os.write(fd, (json.dumps(event) + "\\n").encode())
"""


def with_stand_in(tmp_path: Path, script: str, *arguments: str) -> list[str]:
    (tmp_path / "runner.py").write_text(STAND_IN + textwrap.dedent(script))
    (tmp_path / "pipeline.json").write_text("{}")
    # A stand-in can only be found in front of the real one by a changed way of starting it.
    start = (
        "import sys, osbuild_compose.runner_client as r; from pathlib import Path; "
        f"r.program = lambda: [sys.executable, {str(tmp_path / 'runner.py')!r}]; "
        "from osbuild_compose.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    return [
        sys.executable,
        "-c",
        start,
        "run",
        str(tmp_path / "pipeline.json"),
        "-o",
        str(tmp_path / "out"),
        *arguments,
    ]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False, timeout=300)


def test_success(tmp_path: Path) -> None:
    script = """
        tell(event="plan", actions=[{"kind": "run", "name": "a", "id": "1"}])
        tell(event="start", id="1", name="a", target=0)
        tell(event="of a later version")
        print("not for standard output")
        tell(event="end", id="1", name="a", state="done", seconds=1, size=2048)
        made = {"success": True, "tree_id": "t", "output_id": "o", "files": ["/out/a.raw"]}
        tell(event="result", **made, seconds=1.5, pipelines=[made])
    """
    done = run(with_stand_in(tmp_path, script))
    assert (done.returncode, done.stdout) == (0, "/out/a.raw\n")
    told = done.stderr.splitlines()
    assert told[:3] == ["1 run, 0 from the store", "[1/1] a", "[1/1] a: 1.0 s, 2.0 KiB"]
    assert told[3:] == ["done in 1.5 s"]
    document = json.loads(run(with_stand_in(tmp_path, script, "--json")).stdout)
    assert document["success"]
    assert document["seconds"] == 1.5
    about = {"outputs": [], "steps": [], "seconds": 0.0}
    made = {"files": ["/out/a.raw"], "output_id": "o", "success": True, "tree_id": "t"}
    assert document["images"][0] == {**made, **about}


def test_a_failed_stage_leaves_its_log_and_the_command(tmp_path: Path) -> None:
    script = """
        tell(event="end", id="1", name="a", state="failed", seconds=1, returncode=3,
             output=["last words", "error: no disk", "hint: look"])
        tell(event="error", kind="build", message="stage a failed: no disk", hint="look",
             stage="a", manifest="/kept.json")
        tell(event="result", success=False, seconds=1)
        sys.exit(1)
    """
    done = run(with_stand_in(tmp_path, script))
    assert (done.returncode, done.stdout) == (1, "")
    assert "a: failed after 1.0 s (exit status 3)" in done.stderr
    again = f"compose run {tmp_path}/pipeline.json -o {tmp_path}/out --debug-shell"
    shell = f"to run a again, with a shell in its sandbox: {again}"
    assert f"error: stage a failed: no disk\n    last words\n    {shell}\n  hint: look\n" in done.stderr
    document = json.loads(run(with_stand_in(tmp_path, script, "--json")).stdout)
    assert document["error"]["message"] == "stage a failed: no disk"
    assert not document["success"]


@pytest.mark.parametrize(("kind", "code"), [("input", 2), ("environment", 2), ("build", 1), ("interrupted", 130)])
def test_exit_codes_follow_the_error(tmp_path: Path, kind: str, code: int) -> None:
    script = f'tell(event="error", kind="{kind}", message="m", hint="install x"); sys.exit({code})'
    done = run(with_stand_in(tmp_path, script))
    assert done.returncode == code
    assert "install x" in done.stderr


def test_a_runner_that_dies_without_a_word(tmp_path: Path) -> None:
    done = run(with_stand_in(tmp_path, 'print("oh no", file=sys.stderr, flush=True); os.kill(os.getpid(), 9)'))
    assert done.returncode == 1
    assert "error: the runner was killed by signal 9\n    oh no\n" in done.stderr
    assert run(with_stand_in(tmp_path, "sys.exit(0)")).returncode == 1  # no result: not a success


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path: Path, number: signal.Signals) -> None:
    script = f"""
        def stop(*_):
            time.sleep(0.3)
            open(sys.argv[0] + ".tidy", "w").close()
            tell(event="error", kind="interrupted", message="interrupted", hint="kept")
            sys.exit(130)
        signal.signal(signal.{number.name}, stop)
        open(sys.argv[0] + ".ready", "w").close()
        time.sleep(300)
    """
    process = subprocess.Popen(with_stand_in(tmp_path, script), cwd=REPO, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "runner.py.ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert (tmp_path / "runner.py.tidy").exists()  # it was waited for
    assert "interrupted" in told
    assert "Traceback" not in told


def test_output_that_nobody_reads() -> None:
    command = f"{sys.executable} -m osbuild_compose render {SAMPLE} | true"
    done = subprocess.run(["bash", "-c", command], cwd=REPO, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
