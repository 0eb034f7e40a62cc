"""The same installation by mmdebstrap, which lets apt and dpkg do everything in their own order."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from stagelib import host_name

from tests.integration import apt_sandbox
from tests.integration.apt_sandbox import Workplace, debian

NAME = "mail.example.org"


def install(place: Workplace, name: str, release: str, packages: Sequence[str], *more: str) -> Path:
    """The tree that mmdebstrap makes from the host's sources, on a host with NAME as its name."""
    if not shutil.which("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed")
    tree = place.directory(name)
    hosts = place.room / f"{name}-hosts"
    hosts.write_text(host_name.with_own_name(host_name.DEFAULT_HOSTS, NAME))
    lines = [
        f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {one['url']} {suite} main"
        for one in debian(release)
        for suite in one["suites"]
    ]
    own = f'cd "$1/etc"; rm hostname; echo {NAME} > hostname; cp {shlex.quote(str(hosts))} hosts; : > resolv.conf'
    command = ["mmdebstrap", "--variant=essential", f"--include={','.join(packages)}", f"--setup-hook={own}", *more]
    command += ["--aptopt=Acquire::Check-Valid-Until false", release, str(tree), *lines]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(apt_sandbox.EPOCH), "TMPDIR": str(place.room)}
    named = ["unshare", "--uts", "--", "sh", "-ec", f'hostname {NAME}; exec "$@"', "sh", *command]
    done = subprocess.run(named, check=False, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-5000:]
    return tree
