"""Run the tree's own programs, in a sandbox inside the stage's sandbox.

The program sees the tree as / and nothing else: fresh /proc, /dev, /run and /tmp, no network unless it is given the
stage's, its own process ids (processes that it leaves running are killed with it), and no privilege over the kernel. So
a package's script can change the tree and nothing else: what is bound into it is read-only, unless it is a single file
of the stage's own. The host name is the tree's. A stage that uses this needs CAP_SYS_ADMIN in its meta.json.
"""

import os
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagelib import host_name, tree_paths
from stagelib.errors import StageError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What installing packages needs: owners, modes, file capabilities, changing user. No mounts, no devices.
CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

UNSHARED = ("--unshare-pid", "--unshare-ipc", "--die-with-parent", "--new-session")
# Shown empty in a /proc: what they tell or do is the machine's.
MASKED = ("kcore", "key-users", "keys", "kmsg", "latency_stats", "sched_debug", "sysrq-trigger", "timer_list")


@dataclass(frozen=True)
class Bind:
    """A file or directory of the stage's sandbox, mounted at `target` in the tree while the program runs.

    writable is for files only, of which the stage holds a descriptor: a program could leave a symlink in a directory.
    """

    source: str
    target: str
    writable: bool = False


def command(
    tree: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    binds: Sequence[Bind] = (),
    loopback: bool = False,
    network: bool = False,
) -> list[str]:
    """The argument list that runs `argv` with the tree as its root; paths in argv are the tree's.

    loopback: whether the loopback interface is up, for which the stage needs CAP_NET_ADMIN; network: whether it has
    the stage's network.
    Mount points for `binds` should exist in the tree; otherwise they are created and stay. Raises StageError when one
    of the tree's own mount points is a symlink, which mounting would follow.
    """
    require_mount_points(tree, MOUNT_POINTS)
    bwrap = ["bwrap", "--unshare-net"] if loopback else ["bwrap"] if network else ["unshare", "--net", "--", "bwrap"]
    base = [*bwrap, *unshared(tree), "--bind", tree, "/", "--proc", "/proc", *protected("/proc"), "--dev", "/dev"]
    base += ["--tmpfs", "/run", "--perms", "1777", "--dir", "/run/lock"]
    base += ["--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108
    for bind in binds:
        base += ["--bind" if bind.writable else "--ro-bind", bind.source, bind.target]
    return [*base, *confined(environment(env)), "--", *argv]


def unshared(tree: str) -> list[str]:
    """The arguments that give a program namespaces of its own, with the tree's host name."""
    return [*UNSHARED, "--unshare-uts", "--hostname", host_name.of_tree(tree)]


def protected(proc: str) -> list[str]:
    """The arguments that keep a /proc, mounted at `proc`, from changing or telling what is the machine's."""
    argv = ["--ro-bind", "/proc/sys", f"{proc}/sys"]
    for name in MASKED:
        if os.path.exists(f"/proc/{name}"):
            argv += ["--ro-bind", "/dev/null", f"{proc}/{name}"]
    return argv


def confined(env: Mapping[str, str]) -> list[str]:
    """The arguments that reduce the program's capabilities, and give it the environment `env` and no other."""
    argv = ["--cap-drop", "ALL"]
    for cap in CAPABILITIES:
        argv += ["--cap-add", cap]
    argv += ["--clearenv"]
    for name, value in env.items():
        argv += ["--setenv", name, value]
    return [*argv, "--chdir", "/"]


MOUNT_POINTS = ("proc", "dev", "run", "tmp")


def require_mount_points(tree: str, names: Sequence[str]) -> None:
    """Raise StageError unless each of the names is a directory in the tree's root, or does not exist there."""
    for name in names:
        found = tree_paths.lookup(tree, name, follow_last=False)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            raise StageError(
                f"programs of the tree cannot run: its /{name} is not a directory",
                "find the package or the stage that has replaced it",
            )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a program in the tree: of the host's variables only SOURCE_DATE_EPOCH."""
    # Compiled Python files come from packages; running a program must not leave others that no package owns.
    env = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "SYSTEMD_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        env["SOURCE_DATE_EPOCH"] = epoch
    return {**env, **(extra or {})}


def output(tree: str, argv: Sequence[str], *, limit: int = 1 << 20) -> str:
    """What `argv` prints in the tree on standard output. Raises StageError for more than `limit` bytes."""
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command(tree, argv), stdin=nothing, stdout=pipe, stderr=nothing) as process:
        assert process.stdout
        data = process.stdout.read(limit + 1)
        if len(data) > limit:
            process.kill()
            raise StageError(f"`{argv[0]}` of the tree prints more than {limit} bytes")
    return data.decode("utf-8", "replace")


def run(
    tree: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    binds: Sequence[Bind] = (),
    stdin: str | None = None,
    check: bool = True,
    network: bool = False,
) -> int:
    """Run `argv` in the tree, its output going to the stage's log; returns the exit status.

    Raises subprocess.CalledProcessError on a status other than 0 when check is set.
    """
    done = subprocess.run(
        command(tree, argv, env=env, binds=binds, network=network),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, list(argv))
    return done.returncode
