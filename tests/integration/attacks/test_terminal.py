"""No text from a stage, a file name, a blueprint or a template can control the terminal that it is shown on."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import REPO

# One of each kind of text that controls a terminal, hides something or changes what is read.
HOSTILE = {
    "colour": "\x1b[31m",
    "our own bold": "\x1b[1m",
    "title": "\x1b]0;pwned\x07",
    "link": "\x1b]8;;http://evil.example/\x1b\\",
    "device control": "\x1bP+q544e\x1b\\",
    "clear": "\x1b[2J",
    "one byte": "\x9b31m",
    "next line": "\x85",
    "bell": "\x07",
    "backspace": "\x08",
    "return": "\r",
    "delete": "\x7f",
    "direction": "\u202e",
    "isolate": "\u2066",
    "zero width": "\u200b",
    "joiner": "\u2060",
    "mark": "\ufeff",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "tag": "\U000e0041",
    "variation": "\U000e0100",
    "filler": "\u3164",
    "private": "\ue000",
}
TEXT = "".join(f"<{text}>" for text in HOSTILE.values()) + "[red]markup[/red]"
NAME = TEXT.replace("/", "|")  # of a file
# What a terminal may get besides text: colours and the live display's moves of the cursor.
OWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A)")

STAGE = f"""#!/usr/bin/python3
import json, sys
TEXT = {TEXT!r}
options = json.load(sys.stdin)["options"]
out = open(1, "wb", closefd=False)
out.write(("log " + TEXT + "\\n").encode())
if options.get("fail"):
    out.write(("error: " + TEXT + "\\nhint: " + TEXT + "\\n").encode())
out.flush()
sys.exit(1 if options.get("fail") else 0)
"""
ASSEMBLER = f"""#!/usr/bin/python3
import json, pathlib, sys
(pathlib.Path(json.load(sys.stdin)["output_dir"]) / {NAME[:80]!r}).write_text("x")
"""
META = {"summary": f"a {TEXT}", "description": [TEXT], "capabilities": [], "schema": {"type": "object"}}

COMPOSE = (sys.executable, "-m", "osbuild_compose")
RUNNER = (sys.executable, "-m", "runner")
RUNNER_STORE = (sys.executable, "-m", "runner.store")


@pytest.fixture
def libdir(tmp_path: Path) -> Path:
    """A directory of stages with a hostile stage and assembler."""
    made = tmp_path / "libdir"
    for kind, text in (("stages", STAGE), ("assemblers", ASSEMBLER)):
        (made / kind).mkdir(parents=True)
        (made / kind / "org.hostile").write_text(text)
        (made / kind / "org.hostile").chmod(0o755)
        (made / kind / "org.hostile.meta.json").write_text(json.dumps(META))
    return made


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    return {**kept, "TERM": "xterm", "COLUMNS": "300", "PYTHONPATH": str(REPO)}


def run(argv: Sequence[str | Path], cwd: Path, out: int, err: int = subprocess.STDOUT) -> bytes:
    done = subprocess.run(
        [*map(str, argv)],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        env=environment(),
        cwd=cwd,
        check=False,
        timeout=120,
    )
    return done.stdout or b""


def on_terminal(argv: Sequence[str | Path], cwd: Path) -> str:
    """What reaches a terminal that the command runs on."""
    main, other = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(main, 65536):
                parts.append(data)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    try:
        run(argv, cwd, other)
    finally:
        os.close(other)
        reader.join()
        os.close(main)
    return b"".join(parts).decode().replace("\r\n", "\n")


def check_harmless(argv: Sequence[str | Path], cwd: Path) -> tuple[str, str]:
    """Fail if the command lets any of the hostile text through, on a terminal or in a pipe. Returns what was shown."""
    shown, piped = on_terminal(argv, cwd), run(argv, cwd, subprocess.PIPE).decode()
    for text, is_terminal in ((shown, True), (piped, False)):
        assert "Traceback" not in text
        for kind, hostile in HOSTILE.items():
            assert f"<{hostile}>" not in text, kind
        rest = OWN.sub("", text.replace("\r\x1b[2K", "")) if is_terminal else text
        for character in rest.replace("\r", "") if is_terminal else rest:
            assert character.isprintable() or character in "\n\t", (character, text)
    return shown, piped


def document(**options: object) -> str:
    calls = {"name": "org.hostile", "options": options}
    return json.dumps({"stages": [calls], "assembler": {"name": "org.hostile"}})


@pytest.mark.parametrize("fail", [True, False])
@pytest.mark.parametrize("program", ["compose", "compose -v", "runner"])
def test_a_build(program: str, fail: bool, libdir: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text(document(fail=fail))
    shared = ["--libdir", libdir, "--store", tmp_path / "store"]
    argv: list[str | Path]
    if program == "runner":
        argv = [*RUNNER, *shared, "--output-directory", tmp_path / "out", tmp_path / "pipeline.json"]
    else:
        argv = [*COMPOSE, "run", *program.split()[1:], *shared, "-o", tmp_path / "out", tmp_path / "pipeline.json"]
    shown, _ = check_harmless(argv, tmp_path)
    if program != "compose" or fail:
        assert "[red]markup[/red]" in shown


def test_json_is_exact(libdir: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text(document(fail=True))
    argv = [*COMPOSE, "run", "--json", "--libdir", libdir, "--store", tmp_path / "store", tmp_path / "pipeline.json"]
    result = json.loads(run(argv, tmp_path, subprocess.PIPE, subprocess.DEVNULL))
    exact = TEXT.partition("<\x85>")[0]  # a line end
    assert exact in result["error"]["message"]
    assert exact in result["error"]["hint"]


BLUEPRINT = {
    "hostname": TEXT,
    "packages": [TEXT],
    "users": [{"name": TEXT}],
    "files": [{"path": TEXT, "content": "x"}],
    "services": {"enabled": [TEXT]},
    TEXT: 1,
}


@pytest.mark.parametrize("command", ["check", "plan"])
@pytest.mark.parametrize("key", BLUEPRINT, ids=lambda key: key if key != TEXT else "unknown")
def test_a_blueprint(command: str, key: str, tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(json.dumps({"name": "web", "distro": "debian-12", key: BLUEPRINT[key]}))
    check_harmless([*COMPOSE, command, file], tmp_path)
    if command == "check":
        done = run([*COMPOSE, command, file, "--json"], tmp_path, subprocess.PIPE, subprocess.DEVNULL)
        assert b"\xef\xbf\xbd" not in done
        assert json.loads(done)["success"] is False


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "@.yaml"],
        ["check", "--@"],
        ["@"],
        ["build", "-f", "@", "x.yaml"],
        ["inspect", "@"],
        ["boot", "@"],
        ["import", "@"],
        ["init", "--yes", "--name", "@"],
        ["run", "@"],
        ["stages", "@"],
        ["schema", "stage", "@"],
        ["templates", "show", "@"],
        ["cache", "ls", "--store", "@"],
        ["check", "--set", "@=1", "x.yaml"],
        ["check", "--var", "@", "x.yaml"],
        ["check", "--templates", "@", "x.yaml"],
    ],
    ids=" ".join,
)
def test_arguments(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("name: web\ndistro: debian-12\n")
    check_harmless([*COMPOSE, *(word.replace("@", NAME) for word in arguments)], tmp_path)


@pytest.mark.parametrize("program", [RUNNER, RUNNER_STORE], ids=" ".join)
def test_arguments_of_the_runner(program: tuple[str, ...], tmp_path: Path) -> None:
    check_harmless([*program, f"--{TEXT}"], tmp_path)
    check_harmless([*program, "--store", TEXT, "ls"], tmp_path)


def test_names_of_files(tmp_path: Path) -> None:
    directory = tmp_path / NAME[:80]
    directory.mkdir()
    (directory / "web.yaml").write_text("name: web\ndistro: debian-12\npackages: [nginx]\n")
    for command in (["check"], ["render", "--explain"], ["plan"]):
        check_harmless([*COMPOSE, *command, directory / "web.yaml"], tmp_path)


def test_programs_and_stores(libdir: Path, tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text(document())
    store = ["--store", tmp_path / "store"]
    run([*COMPOSE, "run", "--libdir", libdir, *store, tmp_path / "pipeline.json"], tmp_path, subprocess.PIPE)
    for arguments in (["stages", "--libdir", libdir], ["stages", "org.hostile", "--libdir", libdir], ["cache", "ls"]):
        check_harmless([*COMPOSE, *arguments, *(store if arguments[0] == "cache" else [])], tmp_path)


@pytest.mark.parametrize(
    "template", [f"{{{{ refuse('packages', {TEXT!a}) }}}}\n", f"{{{{ nothing }}}} {TEXT}", f"{{% {TEXT} %}}", TEXT]
)
def test_templates(template: str, tmp_path: Path) -> None:
    own = tmp_path / "templates/debian"
    own.mkdir(parents=True)
    (own / "pipeline.yaml.j2").write_text(template)
    (own / "distro.yaml").write_text("inherits: debian\n")
    (tmp_path / "web.yaml").write_text("name: web\ndistro: debian-12\npackages: [nginx]\n")
    argv = [*COMPOSE, "check", "--templates", tmp_path / "templates", tmp_path / "web.yaml"]
    check_harmless(argv, tmp_path)


def test_a_pipeline_is_exact(tmp_path: Path) -> None:
    """On a terminal characters are escaped, which is the same JSON; elsewhere it is the same bytes."""
    text = "x\u202e\u200b\U000e0041y"
    (tmp_path / "web.yaml").write_text(
        json.dumps(
            {"name": "web", "distro": "debian-12", "files": [{"path": "/x", "content": text}]}, ensure_ascii=False
        )
    )
    argv = [*COMPOSE, "render", tmp_path / "web.yaml"]
    piped = run(argv, tmp_path, subprocess.PIPE, subprocess.DEVNULL).decode()
    assert text in piped
    shown = on_terminal(argv, tmp_path)
    assert text not in shown
    assert json.loads(shown) == json.loads(piped)
