"""Run programs of the build root on the tree, in a sandbox inside the stage's sandbox.

A program that reads what the tree's code has written (databases, configuration, links) may be misled by it. So it sees
the build root read-only, and of all other things only the tree, at the same path as in the stage, and what it is given;
it has no privilege over the kernel, and no network unless it is given that, too. Then it can change the tree and
nothing else, wherever the tree's links lead.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence

from stagelib import chroot

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
LIBRARY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # where `stagelib` is imported from


def command(
    tree: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    writable: Sequence[str] = (),
    read_only: Sequence[str] = (),
    network: bool = False,
    options: Sequence[str] = (),
    late: Sequence[str] = (),
) -> list[str]:
    """The argument list that runs `argv` beside the tree, where all paths are those of the stage.

    writable, read_only: files and directories to show; options, late: bubblewrap's own, after the tree is
    mounted and at the end.
    """
    base = [*([] if network else ["unshare", "--net", "--"]), "bwrap", *chroot.unshared(tree)]
    base += ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
    for name in LINKS:
        if os.path.islink(f"/{name}"):
            base += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        elif os.path.isdir(f"/{name}"):
            base += ["--ro-bind", f"/{name}", f"/{name}"]
    base += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/var"]  # noqa: S108
    base += ["--dir", "/var/tmp", "--dir", "/var/lib", "--dir", "/var/cache"]  # noqa: S108
    base += ["--bind", tree, tree, *options, *chroot.protected("/proc")]
    for path in writable:
        base += ["--bind", path, path]
    for path in read_only:
        base += ["--ro-bind", path, path]
    return [*base, *chroot.confined(environment(env)), *late, "--", *argv]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of such a program: of the stage's variables only SOURCE_DATE_EPOCH."""
    env = {"PATH": PATH, "HOME": "/tmp", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "SYSTEMD_OFFLINE": "1"}  # noqa: S108
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        env["SOURCE_DATE_EPOCH"] = epoch
    return {**env, **(more or {})}


def run(tree: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> None:
    """Run `argv` beside the tree, its output going to the stage's log. Raises subprocess.CalledProcessError."""
    done = subprocess.run(command(tree, argv, env=env), stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, list(argv))


def run_module(
    tree: str,
    module: str,
    *arguments: str,
    writable: Sequence[str] = (),
    read_only: Sequence[str] = (),
    capabilities: Sequence[str] = (),
) -> int:
    """Run a module of the stage library beside the tree, with additional capabilities; returns its exit status."""
    argv = ["/usr/bin/python3", "-m", module, *arguments]
    env = environment({"PYTHONPATH": LIBRARY, "PYTHONDONTWRITEBYTECODE": "1"})
    options = [word for capability in capabilities for word in ("--cap-add", capability)]
    full = command(tree, argv, env=env, writable=writable, read_only=(LIBRARY, *read_only), late=options)
    return subprocess.run(full, stdin=subprocess.DEVNULL, check=False).returncode
