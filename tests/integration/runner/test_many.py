"""Several pipelines at once, exports, the debug shell, and looking after the store."""

import json
import os
import pty
import select
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Account
from tests.integration.runner.conftest import Bench, step
from tests.integration.runner.test_graph import MEET

SLOW = "import json, sys, time; o = json.load(sys.stdin)['options']; time.sleep(o['seconds']); print('ran', o)"
IMAGE = (
    "import json, sys; a = json.load(sys.stdin); open(a['output_dir'] + '/' + a['options']['filename'], 'w').write('x')"
)


def pipelines(bench: Bench, *documents: Any) -> list[str]:
    """Write pipelines into files; returns their names."""
    names = []
    for number, document in enumerate(documents):
        path = bench.place / f"pipeline-{number}.json"
        path.write_text(json.dumps(document))
        path.chmod(0o644)
        names.append(str(path))
    return names


def document(*seconds: float, image: str) -> dict[str, Any]:
    stages = [step(("slow", {"seconds": value})) for value in seconds]
    return {"stages": stages, "assembler": step(("image", {"filename": image}))}


def prepare(bench: Bench) -> None:
    bench.program("slow", SLOW)
    bench.program("image", IMAGE, kind="assemblers")


def test_pipelines_of_one_run_are_built_at_the_same_time_and_share_stages(any_bench: Bench) -> None:
    """Each ends with a stage that waits for the other's to run, too; a plain directory is one pipeline's at a time."""
    bench = any_bench
    prepare(bench)
    bench.program("meet", MEET.replace("PLACE", bench.place.name), network=True)
    names = pipelines(
        bench,
        *(
            {
                "stages": [
                    step(("slow", {"seconds": 0.5})),
                    step(("meet", {"me": me, "other": other}) if bench.overlay else ("slow", {"seconds": 0, "n": me})),
                ],
                "assembler": step(("image", {"filename": me})),
            }
            for me, other in (("a", "b"), ("b", "a"))
        ),
    )
    argv = [*bench.argv("--json", "--jobs", "2", "--output-directory", bench.place / "out")[:-1], *names]
    done = bench.account.runner(*argv)
    assert done.returncode == 0, done.stdout
    ran = [s["name"] for s in json.loads(done.stdout)["stages"] if not s["cached"] and s["what"] == "stage"]
    assert sorted(ran) == (["meet", "meet", "slow"] if bench.overlay else ["slow", "slow", "slow"])
    assert sorted(path.name for path in (bench.place / "out").iterdir()) == ["a", "b"]


def test_one_failing_pipeline_does_not_stop_the_others(bench: Bench) -> None:
    prepare(bench)
    names = pipelines(bench, {"stages": [step("org.osbuild.error")]}, document(0.1, image="b"))
    done = bench.account.runner(*bench.argv("--json")[:-1], *names)
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["error"]["stage"] == "org.osbuild.error"
    assert [s["success"] for s in result["stages"]] == [False, True, True]


def test_a_failed_stage_can_be_run_again_with_a_shell_in_its_sandbox(bench: Bench) -> None:
    bench.program("make", "import json, sys; open(json.load(sys.stdin)['tree'] + '/made', 'w').write('1')")
    bench.program("fail", "import json, sys; open(json.load(sys.stdin)['tree'] + '/half', 'w').write('2'); sys.exit(9)")
    ran = bench.run("make", "fail")
    argv = shlex.split(ran.result["error"]["command"])
    kept = Path(argv[-1])
    assert str(kept) == ran.result["error"]["manifest"]
    assert [stage["name"] for stage in json.loads(kept.read_text())["stages"]] == ["make", "fail"]
    output = on_terminal(bench.account, argv, "cat /run/osbuild/tree/*; ls /home; echo in-sandbox; exit\n")
    assert "make: cached" in output
    assert "in-sandbox" in output
    assert "21" in output
    assert "failed with exit code 9" in output


def test_the_command_to_run_a_failed_stage_again_has_absolute_paths(bench: Bench) -> None:
    bench.program("fail", "import sys; sys.exit(9)")
    libdir = (bench.place / "lib").rename(bench.place / "other")
    relative = libdir.relative_to(bench.account.home)
    ran = bench.run("fail", args=("--libdir", relative))
    argv = shlex.split(ran.result["error"]["command"])
    assert argv[argv.index("--libdir") + 1] == str(libdir)


def on_terminal(account: Account, argv: list[Any], typed: str) -> str:
    """Run a command on a terminal of its own, type something, and return all that was shown."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        account.argv(argv), stdin=other, stdout=other, stderr=other, env=account.environment(), start_new_session=True
    )
    os.close(other)
    shown = b""
    sent = False
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        ready, _, _ = select.select([main], [], [], 0.2)
        if ready:
            try:
                shown += os.read(main, 4096)
            except OSError:
                break
        if not sent and (b"# " in shown or b"$ " in shown):
            os.write(main, typed.encode())
            sent = True
    process.wait(timeout=300)
    os.close(main)
    return shown.decode(errors="replace")


def test_a_tree_can_be_exported_by_root(account: Account, bench: Bench) -> None:
    bench.program(
        "make", "import json, os, sys; t = json.load(sys.stdin)['tree']; open(t + '/a', 'w'); os.chown(t + '/a', 7, 8)"
    )
    tree_id = bench.run("make").result["tree_id"]
    ran = bench.run("make", args=("--export", tree_id, "--output-directory", bench.place / "out"))
    if not account.is_root:
        assert ran.returncode == 2
        assert "an ordinary user cannot own" in ran.result["error"]["message"]
        return
    assert ran.returncode == 0
    made = bench.place / "out" / tree_id / "a"
    assert (made.stat().st_uid, made.stat().st_gid) == (7, 8)


def test_unknown_ids_of_checkpoints_and_exports_are_errors(bench: Bench) -> None:
    assert bench.run("org.osbuild.noop", args=("--checkpoint", "0" * 64)).returncode == 1
    assert bench.run("org.osbuild.noop", args=("--export", "0" * 64)).returncode == 2


def cache(bench: Bench, *args: str) -> tuple[int, list[Any], str]:
    argv = [bench.account.python, "-m", "runner.store", "--store", bench.store, *args]
    done = bench.account.run(argv)
    assert "Traceback" not in done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


FILL = "import json, os, sys; a = json.load(sys.stdin); open(a['tree'] + '/big', 'wb').write(os.urandom(2 << 20))"


def test_the_store_is_listed_measured_pruned_and_cleared(bench: Bench) -> None:
    bench.program("fill", FILL)
    for number in range(3):
        assert bench.run(("fill", {"n": number})).returncode == 0
        time.sleep(0.02)
    bench.run(("fill", {"n": 0}))  # used again: now it is the most recent one
    _, listed, _ = cache(bench, "ls")
    assert [entry["name"] for entry in listed] == ["fill"] * 3
    first_key = listed[-1]["key"]
    _, (sizes,), _ = cache(bench, "du")
    assert sizes["layer"] == sizes["total"] == sum(entry["size"] for entry in listed)
    assert sizes["total"] > 6 << 20
    code, (removed,), _ = cache(bench, "prune", "--keep", "3M")
    assert (code, removed["removed"]) == (0, 2)
    assert [entry["key"] for entry in cache(bench, "ls")[1]] == [first_key]
    assert [s["cached"] for s in bench.run(("fill", {"n": 0})).result["stages"]] == [True]
    assert cache(bench, "clear")[1][0]["removed"] == 1
    assert cache(bench, "ls")[1] == []


def test_verify_finds_and_removes_what_is_damaged(bench: Bench) -> None:
    bench.program("fill", FILL)
    bench.run("fill")
    assert cache(bench, "verify")[:2] == (0, [])
    archive = next((bench.store / "layers").glob("*.zst"))
    data = bytearray(archive.read_bytes())
    data[1000] ^= 1
    archive.write_bytes(data)
    code, damaged, _ = cache(bench, "verify")
    assert code == 1
    assert [entry["what"] for entry in damaged] == ["layer"]
    assert cache(bench, "ls")[1] == []


def test_the_store_stays_within_its_bound_and_keeps_what_the_build_uses(bench: Bench) -> None:
    bench.program("fill", FILL)
    for number in range(4):
        assert bench.run(("fill", {"n": number}), args=("--cache-size", "5M")).returncode == 0
    _, (sizes,), _ = cache(bench, "du")
    assert 2 << 20 < sizes["total"] <= 5 << 20
    assert bench.run(("fill", {"n": 3}), args=("--cache-size", "1M")).returncode == 0
    assert len(cache(bench, "ls")[1]) == 1


@pytest.mark.parametrize(
    ("args", "message"), [(("prune",), "say how much"), (("prune", "--keep", "x"), "is not a size")]
)
def test_wrong_arguments_of_the_store_are_errors(bench: Bench, args: tuple[str, ...], message: str) -> None:
    bench.run("org.osbuild.noop")
    code, _, stderr = cache(bench, *args)
    assert code == 2
    assert message in stderr
