"""Pipelines of small stages, as root and as an ordinary user: trees, the cache, outputs, failures."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.conftest import ordinary_user, remove
from tests.integration.runner.conftest import Bench

# Writes options.path with options.text; lists the tree when there is no text.
WRITE = """
import json, os, sys
args = json.load(sys.stdin)
path = os.path.join(args["tree"], args["options"]["path"])
os.makedirs(os.path.dirname(path), exist_ok=True)
open(path, "w").write(args["options"]["text"])
print("wrote", args["options"]["path"])
"""
SHOW = """
import json, os, sys
args = json.load(sys.stdin)
found = {}
for directory, _, names in os.walk(args["tree"]):
    for name in names:
        path = os.path.join(directory, name)
        found[os.path.relpath(path, args["tree"])] = open(path).read()
print(json.dumps(found, sort_keys=True))
"""
PACK = """
import json, os, sys
args = json.load(sys.stdin)
with open(os.path.join(args["output_dir"], "image"), "w") as out:
    for directory, dirs, names in os.walk(args["tree"]):
        dirs.sort()
        for name in sorted(names):
            out.write(name + open(os.path.join(directory, name)).read())
"""


def write(path: str, text: str) -> tuple[str, dict[str, str]]:
    return "write", {"path": path, "text": text}


def prepare(bench: Bench) -> None:
    bench.program("write", WRITE)
    bench.program("show", SHOW)
    bench.program("pack", PACK, kind="assemblers")


def test_stages_see_what_those_before_them_did(any_bench: Bench) -> None:
    prepare(any_bench)
    ran = any_bench.run(write("etc/a", "1"), write("etc/b", "2"), write("etc/a", "3"), "show")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.output()) == {"etc/a": "3", "etc/b": "2"}


def test_everything_may_be_in_a_private_directory(bench: Bench) -> None:
    """Programs, store, scratch and results; root's in the home of another user, who may be the one that calls sudo."""
    bench.program("write", WRITE)
    bench.program("pack", PACK, kind="assemblers")
    owner = ordinary_user() if bench.account.is_root else bench.account.name
    subprocess.run(["chown", "-R", owner, bench.place], check=True)
    subprocess.run(["chmod", "-R", "go=", bench.place], check=True)
    out = bench.place / "out"
    ran = bench.run(("write", {"path": "a", "text": "1"}), assembler="pack", args=("--output-directory", out))
    assert ran.returncode == 0, ran.result
    assert (out / "image").read_text() == "a1"
    assert (out / "image").owner() == bench.account.name


def test_a_deleted_file_stays_deleted_also_from_the_store(any_bench: Bench) -> None:
    prepare(any_bench)
    any_bench.program(
        "delete",
        "import json, os, shutil, sys; t = json.load(sys.stdin)['tree']\n"
        "os.unlink(t + '/etc/a'); shutil.rmtree(t + '/opt'); os.mkdir(t + '/opt'); open(t + '/opt/n', 'w')",
    )
    stages = (write("etc/a", "1"), write("etc/b", "2"), write("opt/old", "x"), "delete")
    assert json.loads(any_bench.run(*stages, "show").output()) == {"etc/b": "2", "opt/n": ""}
    remove(any_bench.scratch)
    again = any_bench.run(*stages, ("show", {"again": 1}))
    assert json.loads(again.output()) == {"etc/b": "2", "opt/n": ""}
    assert [stage["cached"] for stage in again.result["stages"]] == [True] * 4 + [False]


def test_nothing_runs_twice(any_bench: Bench) -> None:
    prepare(any_bench)
    stages = (write("a", "1"), write("b", "2"))
    first = any_bench.run(*stages, assembler="pack", args=("--output-directory", any_bench.place / "out"))
    again = any_bench.run(*stages, assembler="pack", args=("--output-directory", any_bench.place / "out"))
    assert [stage["cached"] for stage in first.result["stages"]] == [False] * 3
    assert [(stage["name"], stage["cached"]) for stage in again.result["stages"]] == [("pack", True)]
    assert again.result["files"] == first.result["files"] == [str(any_bench.place / "out" / "image")]
    assert (any_bench.place / "out" / "image").read_text() == "a1b2"


def test_an_output_that_was_written_to_after_export_is_made_again(any_bench: Bench) -> None:
    prepare(any_bench)
    args = ("--output-directory", any_bench.place / "out")
    any_bench.run(write("a", "1"), assembler="pack", args=args)
    image = any_bench.place / "out" / "image"
    image.write_text("booted")
    assert any_bench.run(write("a", "1"), assembler="pack", args=args).returncode == 0
    assert image.read_text() == "a1"


def test_times_of_the_clock_become_the_source_date_epoch(any_bench: Bench) -> None:
    prepare(any_bench)
    any_bench.program("old", "import json, os, sys; p = json.load(sys.stdin)['tree'] + '/a'\nos.utime(p, (5, 5))")
    code = "import json, os, sys; t = json.load(sys.stdin)['tree']\n"
    any_bench.program("times", code + "print(*(int(os.stat(t + p).st_mtime) for p in ('/a', '/etc/b', '/etc')))")
    ran = any_bench.run(write("a", "1"), "old", write("etc/b", "2"), "times")
    assert ran.output() == "5 1735689600 1735689600"


def test_a_failing_stage_ends_the_build_and_leaves_the_rest_in_the_store(any_bench: Bench) -> None:
    prepare(any_bench)
    failing = ("org.osbuild.error", {"returncode": 7})
    ran = any_bench.run(write("a", "1"), failing, "show", args=("--output-directory", any_bench.place / "out"))
    assert ran.returncode == 1
    assert ran.result["success"] is False
    assert ran.result["error"]["stage"] == "org.osbuild.error"
    assert "failed with exit code 7" in ran.result["error"]["message"]
    assert [stage["success"] for stage in ran.result["stages"]] == [True, False]
    assert not (any_bench.place / "out").exists()
    assert [s["cached"] for s in any_bench.run(write("a", "1"), "show").result["stages"]] == [True, False]


def test_a_stage_killed_by_a_signal_is_reported_as_such(any_bench: Bench) -> None:
    any_bench.program("die", "#!/bin/sh\nkill -SEGV $$\n")
    assert "was killed by signal 11" in any_bench.run("die").result["error"]["message"]


def test_a_failing_assembler_leaves_nothing(any_bench: Bench) -> None:
    code = "import json, sys; open(json.load(sys.stdin)['output_dir'] + '/image', 'w').write('half'); sys.exit(3)"
    any_bench.program("bad", code, kind="assemblers")
    ran = any_bench.run("org.osbuild.noop", assembler="bad", args=("--output-directory", any_bench.place / "out"))
    assert ran.returncode == 1
    assert not (any_bench.place / "out").exists()
    assert not list((any_bench.store / "outputs").iterdir())


def test_a_tree_in_the_store_can_be_a_base(any_bench: Bench) -> None:
    prepare(any_bench)
    tree_id = any_bench.run(write("a", "1"), write("b", "2")).result["tree_id"]
    ran = any_bench.run(write("c", "3"), "show", base=tree_id)
    assert json.loads(ran.output()) == {"a": "1", "b": "2", "c": "3"}


def test_options_are_checked_before_anything_runs(any_bench: Bench) -> None:
    prepare(any_bench)
    ran = any_bench.run(write("a", "1"), ("org.osbuild.hostname", {"hostnam": "x"}))
    assert ran.returncode == 2
    assert ran.result["stages"] == []
    assert "did you mean `hostname`?" in str(ran.result["error"])


def test_arguments_are_also_a_file(any_bench: Bench) -> None:
    code = "import json, sys\nprint(json.load(sys.stdin) == json.load(open('/run/osbuild/api/arguments')))"
    any_bench.program("both", code)
    assert any_bench.run(("both", {"x": "y" * 200_000})).output() == "True"


def test_events_tell_the_whole_story(any_bench: Bench) -> None:
    prepare(any_bench)
    code = "import os, sys; sys.path.insert(0, '/run/osbuild/python'); from stagelib import api; api.progress(1, 2)"
    code += "; api.note('a lost b')"
    any_bench.program("slow", code)
    document = {"stages": [{"name": "slow"}], "assembler": {"name": "pack"}}
    script = f'exec {any_bench.account.python} -m runner "$@" --monitor-fd 3 3>&1 >&2'
    done = any_bench.account.run(["sh", "-c", script, "sh", *any_bench.argv()], input=json.dumps(document))
    events = [json.loads(line) for line in done.stdout.splitlines()]
    logged, *events = sorted(events, key=lambda event: event["event"] != "log")
    assert logged["line"] == "note: a lost b"
    kinds = [event["event"] for event in events]
    assert kinds == ["plan", "start", "progress", "note", "end", "start", "progress", "end", "result"]
    assert events[2]["done"] == 1
    assert events[2]["total"] == 2
    assert events[3] == {"event": "note", "message": "a lost b", "id": events[1]["id"], "name": "slow"}
    assert events[4]["state"] == "done"
    assert events[-1]["success"] is True


def test_interrupting_keeps_finished_stages_and_leaves_no_process(any_bench: Bench) -> None:
    prepare(any_bench)
    any_bench.program("sleep", "import time; print('here', flush=True); time.sleep(987)")
    document = {"stages": [{"name": "write", "options": {"path": "a", "text": "1"}}, {"name": "sleep"}]}
    argv = any_bench.account.argv([any_bench.account.python, "-m", "runner", *any_bench.argv()])
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=any_bench.place,
        env=any_bench.account.environment(),
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(document))
        process.stdin.close()
        while "here" not in process.stdout.readline():
            pass
        while not any((any_bench.store / "layers").glob("*.json")):  # a layer is kept beside the next stage
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=300) == 128 + signal.SIGTERM
        assert process.stderr
        assert "interrupted in sleep\n" in process.stderr.read()
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"osbuild/lib/stages/sleep" in read(path)]
    assert not list(any_bench.scratch.glob("tmp-*"))
    ran = any_bench.run(write("a", "1"), "show")
    assert [stage["cached"] for stage in ran.result["stages"]] == [True, False]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_build_pipelines_tree_is_the_root_that_stages_run_in(any_bench: Bench) -> None:
    """The build root is the host's /usr copied by a stage, with a mark that only it has."""
    code = (
        "import json, shutil, sys; t = json.load(sys.stdin)['tree']\n"
        "shutil.copytree('/usr/bin', t + '/usr/bin', symlinks=True, ignore=lambda d, names: "
        "[n for n in names if not n.startswith(('sh', 'dash', 'cat', 'python3'))])\n"
        "import os\n"
        "for n in os.listdir('/usr/lib'):\n"
        "    if n.endswith('-linux-gnu'):\n"
        "        os.makedirs(t + '/usr/lib/' + n)\n"
        "        for f in os.listdir('/usr/lib/' + n):\n"
        "            if f.startswith(('libc.', 'ld-')): shutil.copy2('/usr/lib/' + n + '/' + f, t + '/usr/lib/' + n)\n"
        "if os.path.isdir('/usr/lib64'): shutil.copytree('/usr/lib64', t + '/usr/lib64', symlinks=True)\n"
        "for n in ('bin', 'lib', 'lib64'): os.symlink('usr/' + n, t + '/' + n)\n"
        "open(t + '/usr/mark', 'w').write('build root')\n"
    )
    any_bench.program("copy-usr", code)
    any_bench.program("look", "#!/bin/sh\ncat /usr/mark\n")
    ran = any_bench.run("look", build={"stages": [{"name": "copy-usr"}]})
    assert ran.returncode == 0, ran.result
    assert ran.output() == "build root"
    assert any_bench.run("look").returncode == 1
    assert os.path.lexists(any_bench.store)


def test_a_tool_that_the_machine_lacks_is_reported_with_its_package_before_anything_runs(any_bench: Bench) -> None:
    prepare(any_bench)
    tools = {"sh": "dash", "frobnicate|frob": {"deb": "frob-utils", "rpm": "frobnicator"}}
    any_bench.program("needy", "print('ran')", tools=tools)
    ran = any_bench.run(write("a", "1"), "needy")
    assert ran.returncode == 2
    assert ran.result["stages"] == []
    assert ran.result["error"]["message"] == "missing on this machine: frobnicate"
    assert "apt install frob-utils" in ran.result["error"]["hint"]
    assert "dnf install frobnicator" in ran.result["error"]["hint"]
