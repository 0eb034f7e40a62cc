"""Attempts at what every build does: to make namespaces, an overlay and a sandbox."""

import os
import subprocess
from pathlib import Path

from runner.errors import RunnerError
from runner.machine.facts import Facts, existing
from runner.machine.finding import Finding, State
from runner.sandbox import buildroot, bwrap, namespace
from runner.sandbox.namespace import IDS
from runner.store.directories import temporary_directory
from runner.store.scratch_place import MEMORY_FOR_TMPFS, SHM
from runner.tools import NO_BUILDS, PATH, find
from runner.tree import overlay

TIMEOUT = 20  # seconds for a sandbox that does nothing
IN_CONTAINERS = "a container needs to allow mount and unshare, and to show all of /proc"
IDS_NAME, NAMESPACES, OVERLAY, SANDBOX = "subordinate ids", "user namespaces", "overlayfs", "sandbox"


def attempt(facts: Facts) -> list[Finding]:
    """What this process, which enters namespaces of its own for it, can do. It must have one thread."""
    try:
        ids = namespace.own_map()
    except RunnerError as error:
        return [_refused(IDS_NAME, error)]
    first = ids.uids[0][1]
    findings = [Finding(IDS_NAME, State.OK, f"{first} to {first + IDS - 1}")]
    try:
        namespaces = namespace.enter()
    except RunnerError as error:
        return [*findings, _refused(NAMESPACES, error)]
    findings.append(Finding(NAMESPACES, State.OK, "they can be made"))
    findings.append(_overlay(SHM if facts.room >= MEMORY_FOR_TMPFS else existing(facts.store)))
    if find("bwrap") and find("setpriv"):
        findings.append(_sandbox(namespaces.sandbox))
    return findings


def _refused(name: str, error: RunnerError) -> Finding:
    return Finding(name, State.BLOCKING, error.message, NO_BUILDS, error.hint)


def _overlay(place: Path) -> Finding:
    mend = "Linux 5.11 or later, and a store on ext4, xfs, btrfs or tmpfs, not on another overlay: --store"
    cost = "slower: trees are copied for each step"
    try:
        with temporary_directory("compose-", place) as work:
            os.chdir(work)
            works = overlay.works_in(work, work)
            os.chdir("/")
    except OSError as error:
        return Finding(OVERLAY, State.LACKING, f"{place}: {error.strerror}", cost, mend)
    if works:
        return Finding(OVERLAY, State.OK, f"it works in {place}")
    return Finding(OVERLAY, State.LACKING, f"it does not work in {place}", cost, mend)


def _sandbox(user_namespace: int) -> Finding:
    argv = bwrap.attempt(user_namespace, buildroot.system(Path("/")))
    try:
        done = subprocess.run(
            argv,
            env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(user_namespace,),
            check=False,
            timeout=TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(SANDBOX, State.BLOCKING, f"bubblewrap cannot be run: {error}", NO_BUILDS, IN_CONTAINERS)
    if done.returncode == 0:
        return Finding(SANDBOX, State.OK, "bubblewrap makes one")
    said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {done.returncode}"]
    return Finding(SANDBOX, State.BLOCKING, said[-1], NO_BUILDS, IN_CONTAINERS)
