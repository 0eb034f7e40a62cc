"""Run the tree's own programs, in a sandbox inside the stage's sandbox.

The program sees the tree as / and nothing else: fresh /proc, /dev, /run and /tmp, no network, its own process ids
(processes that it leaves running are killed with it), and no privilege over the kernel. So a package's script can
change the tree and nothing else. A stage that uses this needs CAP_SYS_ADMIN in its meta.json.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Bind:
    """A file or directory of the stage's sandbox, mounted at `target` in the tree while the program runs."""

    source: str
    target: str
    writable: bool = False


def command(
    tree: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, binds: Sequence[Bind] = ()
) -> list[str]:
    """The argument list that runs `argv` with the tree as its root; paths in argv are the tree's.

    Mount points for `binds` should exist in the tree; otherwise they are created and stay.
    """
    base = ["unshare", "--net", "--", "bwrap", "--bind", tree, "/"]
    base += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session"]
    base += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--dir", "/run/lock", "--perms", "1777"]
    base += ["--tmpfs", "/tmp"]  # noqa: S108
    for bind in binds:
        base += ["--bind" if bind.writable else "--ro-bind", bind.source, bind.target]
    base += ["--cap-drop", "ALL"]
    for cap in CAPABILITIES:
        base += ["--cap-add", cap]
    base += ["--clearenv"]
    for name, value in environment(env).items():
        base += ["--setenv", name, value]
    return [*base, "--chdir", "/", "--", *argv]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a program in the tree: of the host's variables only SOURCE_DATE_EPOCH."""
    # Compiled Python files come from packages; running a program must not leave others that no package owns.
    env = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "SYSTEMD_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        env["SOURCE_DATE_EPOCH"] = epoch
    return {**env, **(extra or {})}


def run(
    tree: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    binds: Sequence[Bind] = (),
    stdin: str | None = None,
    check: bool = True,
) -> int:
    """Run `argv` in the tree, its output going to the stage's log; returns the exit status.

    Raises subprocess.CalledProcessError on a status other than 0 when check is set.
    """
    done = subprocess.run(
        command(tree, argv, env=env, binds=binds),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, list(argv))
    return done.returncode
