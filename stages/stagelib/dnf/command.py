"""Run the build root's dnf, version 4 or 5."""

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from stagelib import api, printed
from stagelib.dnf.config import PrivateHome
from stagelib.dnf.options import Options
from stagelib.errors import StageError

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Progress in the output of both versions: "(3/215): bash.rpm", "Installing : bash 3/215", "[  3/215] bash".
COUNTED = re.compile(r"^\((\d+)/(\d+)\): |^ +\w.* : .* (\d+)/(\d+) *$|^\[ *(\d+)/(\d+)\] ")


@dataclass(frozen=True)
class Dnf:
    """A dnf program; version is 4 or 5."""

    program: str
    version: int

    @property
    def variant(self) -> str:
        """The name of the variant of cache files that it reads and writes."""
        return f"dnf{self.version}"

    def arguments(self, tree: str, home: PrivateHome, cache: str, options: Options) -> list[str]:
        """The command line up to the operation. cache: dnf's cache directory."""
        argv = [self.program, "-y", f"--config={home.config}", f"--installroot={tree}"]
        if self.version == 5:
            # Otherwise variables and other settings are read from the tree.
            argv += ["--use-host-config"]
        argv += [f"--releasever={options.releasever}", f"--forcearch={options.basearch}"]
        settings = {
            "cachedir": cache,
            "system_cachedir": cache,
            "reposdir": home.nothing,
            "varsdir": home.nothing,
            "plugins": "0",
            "install_weak_deps": str(options.install_weak_deps),
        }
        if self.version != 5:
            del settings["system_cachedir"]
        argv += [f"--setopt={name}={value}" for name, value in settings.items()]
        return argv + [f"--exclude={one}" for one in options.exclude_packages]

    def download(self, options: Options) -> list[str]:
        """The operation that downloads everything needed by operation()."""
        return (
            ["makecache"]
            if options.operation == "remove" or options.is_empty
            else self.operation(options, "--downloadonly")
        )

    def operation(self, options: Options, *flags: str) -> list[str]:
        """The operation with additional flags, and its packages."""
        words = {"groupinstall": ["group", "install"]}.get(options.operation, [options.operation])
        return [*words, *flags, *options.packages]


def find() -> Dnf:
    """The build root's dnf, the newer one if there are two. Raises StageError when there is none."""
    if found := shutil.which("dnf5", path=PATH):
        return Dnf(found, 5)
    for name in ("dnf-3", "dnf"):
        if found := shutil.which(name, path=PATH):
            return Dnf(found, 5 if os.path.realpath(found).endswith("dnf5") else 4)
    raise StageError("the build root has no dnf", "install the package dnf")


def environment(home: PrivateHome, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of dnf and packages' scripts. rpm takes the time of installation from SOURCE_DATE_EPOCH."""
    env = {"PATH": PATH, "HOME": home.path, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8", "SYSTEMD_OFFLINE": "1"}
    return {**env, **{name: os.environ[name] for name in ("SOURCE_DATE_EPOCH",) if name in os.environ}, **(more or {})}


@dataclass(frozen=True)
class Ended:
    """The exit status and output of dnf."""

    status: int
    lines: Sequence[str]


def run(
    argv: Sequence[str],
    home: PrivateHome,
    *,
    quiet: bool = False,
    env: Mapping[str, str] | None = None,
    names: Collection[str] = (),
) -> Ended:
    """Run a command; its output is logged as it appears, and the progress in it reported.

    quiet: log the output only if the command fails. env: variables on top of environment(). names: those of packages,
    each of which the command prints on a line of its own, as rpm does, when it installs it.
    """
    kept = printed.Lines()
    installed: set[str] = set()
    with subprocess.Popen(
        argv,
        env=environment(home, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout
        for line in printed.lines(process.stdout):
            if not quiet:
                print(line, end="", flush=True)
            kept.add(line)
            if match := COUNTED.match(line):
                done, total = (int(number) for number in match.groups() if number is not None)
                api.progress(done, total, "packages")
            elif line.strip() in names:
                installed.add(line.strip())
                api.progress(len(installed), len(names), "packages")
    lines = kept.kept()
    if quiet and process.returncode != 0:
        print(*lines, sep="\n", flush=True)
    return Ended(process.returncode, lines)
