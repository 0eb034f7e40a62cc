"""Running programs that read images in a sandbox that sees only the image and one directory to write to."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from osbuild_compose.inspecting.tree import MAX_ENTRIES, TooMuchError

IMAGE = "/run/image"  # the file to read, in the sandbox
OUT = "/run/out"  # the directory to write to, in the sandbox
MAX_OUTPUT = 256 * 1024**2  # bytes of standard output
MAX_SECONDS = 600.0  # for one program; the largest images that we tried need 20
MAX_SECONDS_IN_ALL = 1800.0  # for all programs that one image needs
MAX_MEMORY = 2 * 1024**3  # bytes of memory of a program: a hostile image may make it ask for any amount
KEEP_FREE = 512 * 1024**2  # bytes of the temporary directory's file system that are never used
_CHUNK = 1024**2

# The packages of each program, on Debian and on Fedora.
PACKAGES = {
    "blkid": ("util-linux", "util-linux"),
    "bsdtar": ("libarchive-tools", "bsdtar"),
    "btrfs": ("btrfs-progs", "btrfs-progs"),
    "bwrap": ("bubblewrap", "bubblewrap"),
    "debugfs": ("e2fsprogs", "e2fsprogs"),
    "fsck.erofs": ("erofs-utils", "erofs-utils"),
    "gzip": ("gzip", "gzip"),
    "mcopy": ("mtools", "mtools"),
    "prlimit": ("util-linux", "util-linux"),
    "qemu-img": ("qemu-utils", "qemu-img"),
    "rpm": ("rpm", "rpm"),
    "unsquashfs": ("squashfs-tools", "squashfs-tools"),
    "xfs_db": ("xfsprogs", "xfsprogs"),
    "xorriso": ("xorriso", "xorriso"),
    "xz": ("xz-utils", "xz"),
    "zstd": ("zstd", "zstd"),
}
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_LIMITED = ("prlimit", f"--data={MAX_MEMORY}", "--")


class ToolError(Exception):
    """A part of the image cannot be read. The message says why, hint what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class MissingToolError(ToolError):
    """A program is not installed; the hint names its packages."""


@dataclass(frozen=True)
class ToolResult:
    """The exit status and the output of a program."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def reason(self) -> str:
        """The last line of its standard error, or its exit status."""
        lines = [line for line in self.stderr.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit status {self.status}"


def need(program: str) -> None:
    """Raise MissingToolError, whose hint names the packages, if the program is not installed."""
    if shutil.which(program, path=_PATH) is None:
        debian, fedora = PACKAGES[program]
        names = debian if debian == fedora else f"{debian} on Debian, {fedora} on Fedora"
        raise MissingToolError(f"{program} is not installed", f"install {names}")


class Tools:
    """Runs programs, with `directory` for their files; the caller removes it in the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._end = time.monotonic() + MAX_SECONDS_IN_ALL

    def new_file(self) -> Path:
        """A new empty file in the temporary directory."""
        handle, name = tempfile.mkstemp(dir=self._directory)
        os.close(handle)
        return Path(name)

    def new_directory(self) -> Path:
        """A new directory in the temporary directory."""
        return Path(tempfile.mkdtemp(dir=self._directory))

    def run(
        self,
        argv: Sequence[str],
        image: Path | None = None,
        out: Path | None = None,
        *,
        given: bytes = b"",
        limit: int = MAX_OUTPUT,
        sink: Callable[[bytes], None] | None = None,
        as_root: bool = True,
    ) -> ToolResult:
        """Run a program that sees `image` as IMAGE, read-only, and may write to the directory `out`, seen as OUT.

        given is its standard input. Its standard output goes to `sink`, or is returned up to `limit` bytes, after which
        the program is ended. as_root: whether the program is root's when this process is. Raises MissingToolError if it
        is not installed, ToolError if it takes too long or fills the disk, and TooMuchError if it writes too many
        files. The caller checks its exit status.
        """
        for program in ("bwrap", "prlimit", argv[0]):
            need(program)
        if time.monotonic() > self._end:
            raise ToolError(f"reading it takes more than {MAX_SECONDS_IN_ALL:.0f} seconds altogether")
        with (
            tempfile.TemporaryFile(dir=self._directory) as errors,
            tempfile.TemporaryFile(dir=self._directory) as stdin,
        ):
            stdin.write(given)
            stdin.seek(0)
            with subprocess.Popen(
                [*_sandbox(image, out, as_root=as_root), "--", *_LIMITED, *argv],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            ) as process:
                try:
                    stdout = self._follow(process, limit, sink)
                except BaseException:
                    process.kill()
                    raise
                finally:
                    process.wait()
                    # bubblewrap that ends while it makes the sandbox leaves a child that would wait for it for ever.
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
            errors.seek(0)
            result = ToolResult(process.returncode, stdout, errors.read(64 * 1024))
        if b"bwrap: " in result.stderr[:7]:
            raise ToolError(f"the sandbox for {argv[0]} cannot be made: {result.reason}", "allow user namespaces")
        return result

    def _follow(self, process: subprocess.Popen[bytes], limit: int, sink: Callable[[bytes], None] | None) -> bytes:
        assert process.stdout is not None
        kept: list[bytes] = []
        left = limit
        end = time.monotonic() + MAX_SECONDS
        files = os.statvfs(self._directory).f_ffree
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while True:
                if time.monotonic() > end:
                    raise ToolError(f"reading it takes more than {MAX_SECONDS:.0f} seconds")
                if shutil.disk_usage(self._directory).free < KEEP_FREE:
                    raise ToolError(
                        f"reading it fills the disk of {self._directory.parent}",
                        "set TMPDIR to a directory with more space",
                    )
                if files - os.statvfs(self._directory).f_ffree > MAX_ENTRIES:
                    raise TooMuchError(f"it has more than {MAX_ENTRIES} files")
                if not selector.select(timeout=0.2):
                    continue
                chunk = os.read(process.stdout.fileno(), _CHUNK)
                if not chunk:
                    return b"".join(kept)
                if sink is not None:
                    sink(chunk)
                    continue
                kept.append(chunk[:left])
                left -= len(kept[-1])
                if left == 0:
                    process.kill()
                    return b"".join(kept)


def _sandbox(image: Path | None, out: Path | None, *, as_root: bool) -> list[str]:
    """The first words of a command line that runs the rest with only /usr, the image and the output directory."""
    argv = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink():
            argv += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).is_dir():
            argv += ["--ro-bind", f"/{name}", f"/{name}"]
    argv += ["--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--dev", "/dev", "--proc", "/proc"]
    argv += ["--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--cap-drop", "ALL"]  # noqa: S108 - inside the sandbox
    if not as_root:
        argv += ["--unshare-user", "--uid", "1", "--gid", "1"]
    elif os.geteuid() == 0:  # the image may belong to another user
        argv += ["--cap-add", "CAP_DAC_READ_SEARCH"]
    argv += ["--ro-bind", str(image), IMAGE] if image else []
    argv += ["--bind", str(out), OUT] if out else []
    environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": "/", "MTOOLSRC": "/dev/null", "MTOOLS_SKIP_CHECK": "1"}
    argv += ["--clearenv", "--chdir", "/"]
    for name, value in environment.items():
        argv += ["--setenv", name, value]
    return argv
