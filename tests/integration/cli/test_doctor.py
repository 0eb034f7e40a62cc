"""compose doctor, on this machine and on one that lacks what builds need."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from osbuild_compose.doctor.finding import Finding, State
from tests.integration.cli.commands import REPO, fine

PAGE = (REPO / "docs/how-to/doctor.md").read_text()


def test_this_machine_can_build(tmp_path: Path) -> None:
    """The suite runs here: there is nothing that blocks, and what was tried worked."""
    store = tmp_path / "store"
    printed = json.loads(fine("doctor", "--json", "--store", store))
    assert printed["builds_possible"] is True
    findings = {one["name"]: Finding(**one) for one in printed["findings"]}
    for name in ("subordinate ids", "user namespaces", "overlayfs", "sandbox", "bwrap", "mcopy"):
        assert findings[name].state == State.OK, findings[name]
    assert re.fullmatch(r"\d+(\.\d+)+", findings["bwrap"].detail)
    for finding in findings.values():
        assert bool(finding.cost) == bool(finding.mend) == (finding.state != State.OK), finding
    assert not store.exists()
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == {*printed, *printed["findings"][0]}


def test_a_machine_without_bubblewrap_ids_and_namespaces(tmp_path: Path) -> None:
    """Its bwrap is covered, and its user namespace has one id and none below; a build says the same of bubblewrap."""
    pipeline = tmp_path / "noop.json"
    pipeline.write_text('{"stages": [{"name": "org.osbuild.noop"}]}')
    compose = f"{shlex.quote(sys.executable)} -m osbuild_compose"
    script = (
        'mount --bind /dev/null "$(readlink -f /usr/bin/bwrap)" || exit 99\n'
        "echo 0 > /proc/sys/user/max_user_namespaces || exit 98\n"
        f"{compose} doctor --json --store store; echo status $?\n"
        f"{compose} run noop.json --store store 2>&1; echo status $?\n"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", script],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(REPO)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    printed, built, _ = re.split(r"^status \d\n", done.stdout, flags=re.MULTILINE)
    assert re.findall(r"^status (\d)$", done.stdout, re.MULTILINE) == ["1", "2"]
    blocking = {one["name"]: one for one in json.loads(printed)["findings"] if one["state"] == "blocking"}
    assert blocking.keys() == {"bwrap", "subordinate ids", "user.max_user_namespaces"}
    assert blocking["bwrap"]["package"] == "bubblewrap"
    assert blocking["user.max_user_namespaces"]["mend"] == "as root: sysctl user.max_user_namespaces=10000"
    assert "this user namespace has 1 of the 65536 ids" in blocking["subordinate ids"]["detail"]
    assert "bubblewrap" in json.loads(printed)["install"]
    assert "missing on this machine: bwrap" in built
    assert "apt install bubblewrap" in built
