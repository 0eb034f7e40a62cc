"""Running small pipelines as each account, with stages written by the test."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Account

META = {"summary": "of a test", "description": ["Of a test."], "capabilities": [], "network": False, "schema": {}}


@dataclass(frozen=True)
class Ran:
    """How a run of the runner ended."""

    returncode: int
    result: dict[str, Any]
    stderr: str

    def output(self, number: int = -1) -> str:
        """What a step printed, all of it."""
        found = self.result["stages"][number]
        return Path(found["log"]).read_text() if found.get("log") else str(found["output"])


@dataclass(frozen=True)
class Bench:
    """A store, a scratch directory and a libdir of an account."""

    account: Account
    place: Path
    overlay: bool = True

    @property
    def store(self) -> Path:
        return self.place / "store"

    @property
    def scratch(self) -> Path:
        return self.place / "scratch"

    def program(self, name: str, code: str, kind: str = "stages", **meta: Any) -> None:
        """Put a program into the libdir; `code` is Python unless it starts with an interpreter line."""
        path = self.place / "lib" / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code if code.startswith("#!") else f"#!/usr/bin/python3\n{code}")
        path.chmod(0o755)
        path.with_name(f"{name}.meta.json").write_text(json.dumps({**META, **meta}))

    def argv(self, *args: str | Path) -> list[str | Path]:
        """The command line that runs the pipeline on standard input."""
        lib = ["--libdir", self.place / "lib"] if (self.place / "lib").is_dir() else []
        trees = [] if self.overlay else ["--no-overlay"]
        return ["--store", self.store, "--scratch", self.scratch, *lib, *trees, *args, "-"]

    def run(
        self,
        *stages: Any,
        assembler: Any = None,
        args: tuple[str | Path, ...] = (),
        env: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Ran:
        """Run a pipeline; a stage is a name or (name, options). env: what is in the runner's environment as well."""
        document = {**more, "stages": [step(stage) for stage in stages]}
        if assembler:
            document["assembler"] = step(assembler)
        done = self.account.runner(*self.argv("--json", *args), input=json.dumps(document), env=env)
        try:
            result = json.loads(done.stdout)
        except ValueError:
            result = {}
        return Ran(done.returncode, result, done.stderr)


def step(stage: Any) -> dict[str, Any]:
    name, options = stage if isinstance(stage, tuple) else (stage, {})
    return {"name": name, "options": options}


@pytest.fixture
def bench(account: Account, place: Path) -> Bench:
    return Bench(account, place)


@pytest.fixture(params=["overlay", "plain"])
def any_bench(request: pytest.FixtureRequest, account: Account, place: Path) -> Bench:
    """With trees as overlays, and as plain directories."""
    return Bench(account, place, overlay=request.param == "overlay")


@pytest.fixture(autouse=True)
def _no_mount_is_left(scratch_room: Path) -> Iterator[None]:
    yield
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    assert [path for path in mounted if path.startswith(str(scratch_room))] == []
