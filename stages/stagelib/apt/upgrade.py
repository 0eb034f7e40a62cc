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
from stagelib.apt import auto_installed, debconf, dpkg, dpkg_wrapper, removed, scaffolding, shared
from stagelib.apt.config import Apt
from stagelib.apt.downloads import Downloaded
from stagelib.apt.extract import Workers
from stagelib.apt.options import Answer

STATUS = "/var/lib/dpkg/status"
LARGEST = 256 << 20  # bytes of the status file: that of 2,000 packages has 2 MiB


def copy_status(tree: str, target: str) -> None:
    """Copy the tree's dpkg status file to the new file `target`, for apt."""
    tree_paths.copy_out(tree, STATUS, target, limit=LARGEST)


def install(
    tree: str, work: str, apt: Apt, downloaded: Downloaded, packages: Sequence[str], *, answers: Sequence[Answer] = ()
) -> None:
    """Let apt install `packages`, whose archives were downloaded, into the tree. Raises StageError.

    answers: those to questions of packages, which debconf has while they are configured.
    """
    known: dict[str, str] = {}
    if answers:
        with phase("answer questions"):
            known = {**debconf.of_tree(tree), **_questions(tree, work, downloaded)}
            debconf.give(tree, answers, known)
    for archive in downloaded.archives:
        os.symlink(downloaded.path(archive), f"{apt.home}/cache/archives/{archive.file}")
    given = sorted({os.path.dirname(path) for path in packages if path.startswith("/")})
    wrapper = _wrapper(tree, work, [*downloaded.directories, *given], apt)
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
    debconf.forget_passwords(tree, answers, known)
    if os.path.exists(states):
        with open(states, "rb") as file:
            tree_paths.write_file(tree, tree_paths.inside(tree, auto_installed.EXTENDED_STATES), file)
    for note in removed.notes(before, _installed(tree), packages):
        api.note(note)


def _installed(tree: str) -> removed.Installed:
    return removed.installed(tree_paths.read_text(tree, STATUS, errors="replace", limit=LARGEST))


def _questions(tree: str, work: str, downloaded: Downloaded) -> dict[str, str]:
    """The types of the questions that the packages ask."""
    workers = Workers(tree, downloaded.directories, shared.archives(work))
    try:
        return debconf.of_packages(one.result() for one in [workers.read(archive) for archive in downloaded.archives])
    finally:
        workers.close()


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
