"""A libdir with other things than programs in it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.runner.conftest import META, Bench


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    path.chmod(0o755)


def link_to(target: str) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return damage


def says(key: str, value: object) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps({**META, key: value}))


META_FILE = "attempt.meta.json"
DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a FIFO": (META_FILE, fifo, "FIFO"),
    "endless": (META_FILE, link_to("/dev/zero"), "larger than"),
    "a loop": (META_FILE, link_to("attempt.meta.json"), "symbolic links"),
    "deep": (META_FILE, lambda path: path.write_text("[" * 200_000), "nested too deeply"),
    "a number": (META_FILE, lambda path: path.write_text("5"), "not a JSON object"),
    "a huge number": (META_FILE, lambda path: path.write_text("5" * 5000), "not JSON"),
    **{
        f"{key} {value}": (META_FILE, says(key, value), key)
        for key, value in (
            ("capabilities", 5),
            ("capabilities", [5]),
            ("capabilities", ["--bind"]),
            ("network", "no"),
            ("tools", [1]),
            ("schema", 1),
        )
    },
    "a sparse program": ("attempt", lambda path: os.truncate(path, 1 << 40), "larger than"),
    "a FIFO for a program": ("attempt", fifo, "there is no stage"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_no_program(bench: Bench, name: str) -> None:
    file, damage, message = DAMAGE[name]
    bench.program("attempt", "")
    damage(bench.place / "lib/stages" / file)
    ran = bench.run("attempt")
    assert ran.returncode == 2, ran.stderr
    assert message in ran.result["error"]["message"]
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_other_things_beside_a_program(bench: Bench, mode: int) -> None:
    """Also where sandboxes see a copy, as others may not read the directory."""
    bench.program("attempt", "print('ran')")
    stages = bench.place / "lib/stages"
    os.mkfifo(stages / "pipe")
    (stages / "dangling").symlink_to("nowhere")
    (stages / "broken").symlink_to("broken")
    stages.chmod(mode)
    subprocess.run(["chown", "-R", "--no-dereference", bench.account.name, stages], check=True)
    ran = bench.run("attempt")
    assert ran.returncode == 0, ran.result
    assert ran.output() == "ran"
