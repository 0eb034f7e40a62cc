"""The bubblewrap command line of one step."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import environment_error
from runner.programs import DIRECTORIES, LIBRARY, Program
from runner.sandbox.buildroot import BuildRoot
from runner.tools import PATH, TOOLS, Family, Package, find, install

API = "/run/osbuild"
TREE = f"{API}/tree"
OUTPUT = f"{API}/output"
ARGUMENTS = f"{API}/api/arguments"
DOWNLOADS = f"{API}/downloads"
NEW_DOWNLOADS = f"{API}/new-downloads"
SOURCES = f"{API}/sources"
INPUTS = f"{API}/inputs"

# What writing a system's files requires. Left out: mounting, devices, network administration, tracing, modules.
CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
ENVIRONMENT = {
    "PATH": PATH,
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "PYTHONPATH": f"{API}/python",
    "PYTHONUNBUFFERED": "1",
    "container": "osbuild-compose",
}

# The runner's namespace maps root's files of the machine, for root: bubblewrap looks them up, but without this
# capability it finds nothing of /proc writable. Otherwise it would cover what is, and in a /proc with covered parts the
# kernel refuses a new one to the sandboxes that stages make, user_namespaces(7).
START = (
    *("setpriv", "--reuid=0", "--regid=0", "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all"),
    *("--bounding-set=-dac_override", "--", "bwrap"),
)
# What of /proc no program needs to write, or to read.
PROC_READ_ONLY = ("bus", "irq", "sys", "sysrq-trigger")
PROC_HIDDEN = ("kcore", "keys", "latency_stats", "timer_list")
OWN_MOUNTS = "CAP_SYS_ADMIN"  # of programs that make sandboxes of their own


@dataclass(frozen=True)
class View:
    """What one step sees: its tree (writable for a stage), its own /var, and where an assembler writes.

    downloads are what steps with network see of the downloads that all builds share, by the directories' names, and
    new_downloads is for what such a step adds. sources are the read-only files that its options name, and inputs the
    read-only trees of other pipelines by the names of the inputs.
    """

    tree: Path
    var: Path
    output: Path | None = None
    downloads: Mapping[str, Path] = field(default_factory=dict)
    new_downloads: Path | None = None
    sources: Path | None = None
    inputs: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Descriptors:
    """File descriptors that the sandbox inherits.

    namespace is the user namespace of sandboxes, arguments the program's as JSON, progress for its reports, and seccomp
    the filter if any.
    """

    namespace: int
    arguments: int
    progress: int
    seccomp: int | None


def environment(epoch: int) -> dict[str, str]:
    """The whole environment of a step; epoch is in seconds since 1970."""
    return {**ENVIRONMENT, "SOURCE_DATE_EPOCH": str(epoch)}


def command(
    program: Program,
    build_root: BuildRoot,
    view: View,
    *,
    env: Mapping[str, str],
    fds: Descriptors,
) -> list[str]:
    """The argument list that runs a program in its sandbox."""
    argv = _isolated(fds.namespace)
    if not program.network:
        argv += ["--unshare-net"]
    argv += build_root.arguments(network=program.network)
    argv += ["--proc", "/proc", *([] if OWN_MOUNTS in program.capabilities else _covers())]
    argv += ["--dev", "/dev", "--tmpfs", "/run", "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - the sandbox's own
    argv += ["--dir", "/root", "--bind", str(view.var), "/var"]
    argv += ["--ro-bind", str(program.path.parent), f"{API}/lib/{DIRECTORIES[program.kind]}"]
    argv += ["--ro-bind", str(program.stagelib), f"{API}/python/{LIBRARY}"]
    argv += ["--bind" if view.output is None else "--ro-bind", str(view.tree), TREE]
    if view.output is not None:
        argv += ["--bind", str(view.output), OUTPUT]
    for name, path in view.downloads.items():
        argv += ["--ro-bind", str(path), f"{DOWNLOADS}/{name}"]
    if view.new_downloads is not None:
        argv += ["--bind", str(view.new_downloads), NEW_DOWNLOADS]
    if view.sources is not None:
        argv += ["--ro-bind", str(view.sources), SOURCES]
    for name, path in view.inputs.items():
        argv += ["--ro-bind", str(path), f"{INPUTS}/{name}"]
    argv += ["--ro-bind-data", str(fds.arguments), ARGUMENTS]
    argv += ["--cap-drop", "ALL"]
    for capability in (*CAPABILITIES, *program.capabilities):
        argv += ["--cap-add", capability]
    if fds.seccomp is not None:
        argv += ["--seccomp", str(fds.seccomp)]
    argv += ["--clearenv"]
    for name, value in {**env, "COMPOSE_PROGRESS_FD": str(fds.progress)}.items():
        argv += ["--setenv", name, value]
    argv += ["--"]
    if OWN_MOUNTS in program.capabilities:
        # The sandbox's mounts belong to the runner's namespace; the program's own ones need a copy.
        argv += ["unshare", "--mount", "--propagation", "unchanged", "--"]
    return [*argv, f"{API}/lib/{DIRECTORIES[program.kind]}/{program.name}"]


def attempt(namespace: int, build_root: Sequence[str]) -> list[str]:
    """The argument list of a sandbox like that of a step, in which nothing but /usr/bin/true is run.

    build_root are the arguments that make programs visible.
    """
    argv = [*_isolated(namespace), "--unshare-net", *build_root, "--proc", "/proc", *_covers()]
    return [*argv, "--dev", "/dev", "--cap-drop", "ALL", "--clearenv", "--", "/usr/bin/true"]


def _isolated(namespace: int) -> list[str]:
    """The beginning of every sandbox's argument list; namespace is the descriptor of its user namespace."""
    # --block-fd closes the descriptor once bubblewrap has entered the namespace: the program must not have it.
    argv = [*START, "--userns2", str(namespace), "--block-fd", str(namespace)]
    argv += ["--die-with-parent", "--new-session"]
    argv += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "localhost"]
    return [*argv, "--chdir", "/"]


def _covers() -> list[str]:
    """The bubblewrap arguments that cover parts of /proc, as far as this kernel has them."""
    argv = []
    for name in PROC_READ_ONLY:
        argv += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    for name in PROC_HIDDEN:
        if os.path.exists(f"/proc/{name}"):
            argv += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    return argv


def without_program(argv: Sequence[str]) -> list[str]:
    """The command line of a sandbox without its program, and with job control on the terminal."""
    return [word for word in argv[:-1] if word != "--new-session"]


def check_tools(programs: Iterable[Program]) -> None:
    """Check that the host has the tools of the sandbox, and those of programs that run in the host's /usr.

    Raises RunnerError (environment) with the packages of all missing tools, for Debian and for Fedora.
    """
    needed = {tool.name: tool.package for tool in TOOLS if tool.needed}
    for program in programs:
        needed.update({name: Package.of(package) for name, package in program.tools.items()})
    missing = {names: package for names, package in needed.items() if find(names) is None}
    if missing:
        raise environment_error(
            f"missing on this machine: {', '.join(names.split('|')[0] for names in missing)}",
            hint=install(missing.values(), Family.OTHER),
        )
