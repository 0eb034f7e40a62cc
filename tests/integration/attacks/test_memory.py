"""Memory that a stage uses without any of its processes having it."""

import pytest

from tests.integration.attacks.conftest import ALL_CAPABILITIES, PRELUDE, STAGE
from tests.integration.runner.conftest import Bench

MOUNT = "os.mkdir('/tmp/m'); libc.mount(b'tmpfs', b'/tmp/m', b'tmpfs', 0, None)\n"


@pytest.mark.parametrize("directory", ["/tmp", "/run", "/dev", "/tmp/m"])
def test_files_in_memory_count(bench: Bench, directory: str) -> None:
    mounts = directory == "/tmp/m"
    code = (
        f"{MOUNT if mounts else ''}import time\n"
        f"with open('{directory}/large', 'wb') as file:\n    for _ in range(400): file.write(bytes(1 << 20))\n"
        "time.sleep(600)\n"
    )
    bench.program("attempt", PRELUDE + STAGE + code, capabilities=ALL_CAPABILITIES if mounts else [])
    ran = bench.run("attempt", args=("--stage-memory", "200M", "--stage-timeout", "500"))
    assert ran.returncode == 1, ran.stderr
    assert "used more than 200 MiB of memory" in ran.result["error"]["message"]
