"""Install packages into a tree that already has some: the host's apt drives the tree's dpkg.

apt runs outside of the sandbox of packages' scripts, and while they run. So it reads and writes no file of the tree,
but copies of its state in a directory that scripts do not see.
"""

import json
import os
import shlex
import sys
from collections.abc import Sequence

from stagelib import api, tree_paths
from stagelib.api import phase
from stagelib.apt import auto_installed, dpkg, dpkg_wrapper, removed, scaffolding
from stagelib.apt.config import Apt
from stagelib.apt.downloads import Downloaded

STATUS = "/var/lib/dpkg/status"
LARGEST = 256 << 20  # bytes of the status file: that of 2,000 packages has 2 MiB


def copy_status(tree: str, target: str) -> None:
    """Copy the tree's dpkg status file to the new file `target`, for apt."""
    tree_paths.copy_out(tree, STATUS, target, limit=LARGEST)


def install(tree: str, work: str, apt: Apt, downloaded: Downloaded, packages: Sequence[str]) -> None:
    """Let apt install `packages`, whose archives were downloaded, into the tree. Raises StageError."""
    for archive in downloaded.archives:
        os.symlink(downloaded.path(archive), f"{apt.home}/cache/archives/{archive.file}")
    wrapper = _wrapper(tree, work, downloaded.directories, apt)
    states = f"{apt.home}/extended_states"
    if tree_paths.exists(tree, auto_installed.EXTENDED_STATES):
        tree_paths.copy_out(tree, auto_installed.EXTENDED_STATES, states, limit=LARGEST)
    settings = {
        "Dir::Bin::dpkg": wrapper,
        "Dir::State::extended_states": states,
        "DPkg::Use-Pty": "false",
        "Debug::NoLocking": "true",  # apt's lock would block the dpkg that it runs; nothing else uses the tree
        "APT::Keep-Downloaded-Packages": "true",
    }
    argv = ["apt-get", "install", "-q", "--no-download"]
    for name, value in settings.items():
        argv += ["-o", f"{name}={value}"]
    argv += [word for option in dpkg.OPTIONS for word in ("-o", f"DPkg::Options::={option}")]
    before = _installed(tree)
    with scaffolding.in_place(tree):
        with phase("install"):
            dpkg.run([*argv, "--", *packages], env=apt.environment(), packages=len(downloaded.archives))
        scaffolding.run_deferred(tree, work)
    if os.path.exists(states):
        with open(states, "rb") as file:
            tree_paths.write_file(tree, tree_paths.inside(tree, auto_installed.EXTENDED_STATES), file)
    for note in removed.notes(before, _installed(tree), packages):
        api.note(note)


def _installed(tree: str) -> removed.Installed:
    return removed.installed(tree_paths.read_text(tree, STATUS, errors="replace", limit=LARGEST))


def _wrapper(tree: str, work: str, directories: Sequence[str], apt: Apt) -> str:
    """A program that apt calls as dpkg: it runs the tree's dpkg in the nested sandbox."""
    path = f"{apt.home}/dpkg"
    archives = [f"{apt.home}/cache/archives", f"{apt.home}/temporary", *directories]
    settings = json.dumps({"tree": tree, "work": work, "archives": archives})
    module = [sys.executable, "-m", dpkg_wrapper.__name__, settings]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {shlex.join(module)} "$@"\n')
        os.fchmod(file.fileno(), 0o755)
    return path
