"""Run the tree's dpkg in the nested sandbox, and find the package on which it failed."""

import re
import subprocess
from collections.abc import Sequence

from stagelib import api, chroot, printed
from stagelib.apt import shared, stubs
from stagelib.errors import StageError

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "DEBCONF_NOWARNINGS": "yes",
}
# Without questions: a configuration file that was changed in the tree stays. A build needs no fsync.
OPTIONS = ("--force-unsafe-io", "--force-confdef", "--force-confold")
NUMBERED = re.compile(r"^.*/apt-dpkg-install-\w+/\d+-")  # apt gives dpkg the archives in a directory, numbered
TAIL = 15  # lines of a failing script's output in the error


def command(tree: str, argv: Sequence[str], binds: Sequence[chroot.Bind]) -> list[str]:
    """The argument list that runs a program of the tree for packages' scripts.

    Some scripts give up without a network interface (postfix), so there is the loopback one.
    """
    return chroot.command(tree, argv, env=ENVIRONMENT, binds=binds, loopback=True)


def binds(tree: str, work: str, *, configuring: bool) -> list[chroot.Bind]:
    """The mounts that a dpkg in the tree sees: the archives, and the stubs while it configures.

    Not while it unpacks: it could not replace a program under a mount.
    """
    return [*shared.binds(tree, work), *(stubs.binds(tree, work) if configuring else ())]


def unpack(tree: str, work: str, files: Sequence[str], *options: str) -> None:
    """Unpack the archives, named as they are in shared.archives(). Raises StageError."""
    paths = [f"{shared.SHARED}/archives/{name}" for name in files]
    argv = ["dpkg", *OPTIONS, *options, "--unpack", *paths]
    run(command(tree, argv, binds(tree, work, configuring=False)))


def configure(tree: str, work: str, packages: Sequence[str], *options: str, count: int = 0) -> None:
    """Configure these packages; "-a" is all that are unpacked, and all pending triggers. Raises StageError.

    count: how many they are, for the progress reports, if not as many as `packages`.
    """
    argv = ["dpkg", *OPTIONS, *options, "--configure", *packages]
    run(command(tree, argv, binds(tree, work, configuring=True)), packages=count or len(packages))


def program(tree: str, argv: Sequence[str]) -> None:
    """Run another program of the tree. Raises StageError when it fails."""
    run(command(tree, argv, ()))


def run(argv: Sequence[str], *, env: dict[str, str] | None = None, packages: int = 0) -> None:
    """Run a command that may be or call dpkg, its output going to the log; raises StageError when it fails.

    packages: how many will be unpacked and configured, for the progress reports; 0 makes none.
    """
    kept = printed.Lines()
    steps = Steps(packages)
    with subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout
        for line in printed.lines(process.stdout):
            print(line, end="", flush=True)
            kept.add(line)
            steps.see(line)
    if process.returncode != 0:
        raise failure(kept.kept(), process.returncode)


class Steps:
    """Reports what dpkg does, as it says itself."""

    WORDS = (("Unpacking ", "unpack"), ("Setting up ", "configure"))
    TRIGGERS = "Processing triggers for "

    def __init__(self, packages: int) -> None:
        """packages: how many will be unpacked and configured; 0 reports nothing."""
        self._packages = packages
        self._counts = {what: 0 for _, what in self.WORDS}

    def see(self, line: str) -> None:
        """Report what a line of dpkg's output says."""
        if not self._packages:
            return
        if line.startswith(self.TRIGGERS):
            package = line.removeprefix(self.TRIGGERS).split(" ", 1)[0]
            api.progress(0, 0, "", f"run triggers of {package}")
        for beginning, what in self.WORDS:
            if line.startswith(beginning):
                self._counts[what] = min(self._packages, self._counts[what] + 1)
                api.progress(self._counts[what], self._packages, "packages", what)


def failure(lines: Sequence[str], status: int) -> StageError:
    """What went wrong, from the output of a failed dpkg."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return StageError("no space left while installing packages", "free some space where the trees are built")
    pattern = r"^dpkg: error processing (?:package|archive) (\S+) \(--\w+\):\n\s*(?!dependency problems)(.*)$"
    if not (match := re.search(pattern, text, re.MULTILINE)):
        tail = "\n  ".join(lines[-TAIL:])
        return StageError(f"installing packages failed with status {status}:\n  {tail}", "see the log above")
    package = NUMBERED.sub("", match[1])
    package = re.sub(r"^.*/|_.*$", "", package)
    before = text[: match.start()].splitlines()
    starts = [
        n
        for n, line in enumerate(before)
        if line.startswith((f"Setting up {package} ", f"Unpacking {package} ", f"Processing triggers for {package} "))
    ]
    tail = "\n  ".join(before[starts[-1] + 1 :][-TAIL:]) if starts else ""
    return StageError(f"package {package}: {match[2]}" + (f"\n  {tail}" if tail else ""), _hint(package, match[2]))


def _hint(package: str, why: str) -> str:
    if "error creating device" in why:
        return (
            f"no program of a build may make device nodes; {package} can be among the packages that the empty tree "
            "gets, which are unpacked in another way"
        )
    if "script" in why:
        return (
            f"it is the package's own script that failed; leave {package} away, or look in the log above for its reason"
        )
    return f"look in the log above for what dpkg says of {package}"
