"""An assembler's sandbox in small, and trees that are hard to put into an image."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from runner.sandbox.seccomp import filter_program
from tests.conftest import REPO

EPOCH = 1_700_000_000  # 2023-11-14
ROOT_UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
MIB = 1 << 20
POLICY = """
/.*                     system_u:object_r:default_t:s0
/               -d      system_u:object_r:root_t:s0
/etc(/.*)?              system_u:object_r:etc_t:s0
/etc/shadow     --      system_u:object_r:shadow_t:s0
/etc/hostname   --      system_u:object_r:hostname_t:s0
/usr/bin(/.*)?          system_u:object_r:bin_t:s0
/usr/lib        -l      system_u:object_r:lib_link_t:s0
/usr/share/many(/.*)?   system_u:object_r:many_t:s0
/home/.*                system_u:object_r:home_t:s0
/dev/.*                 <<none>>
/lost\\+found     -d      system_u:object_r:lost_found_t:s0
"""


@dataclass(frozen=True)
class Result:
    """How an assembler ended: its exit status, its log, and its reports of how far it was, as (bytes, of bytes)."""

    status: int
    log: str
    progress: tuple[tuple[int, int], ...] = ()


def assemble(
    tree: Path,
    name: str,
    options: dict[str, Any],
    output: Path,
    *,
    hide: str = "",
    room: int = 0,
    secrets: Mapping[str, str] | None = None,
    usr: Path = Path("/usr"),
    stages: Path = REPO / "stages",
) -> Result:
    """Run the assembler on the tree: tree and /usr read-only, no network, the runner's seccomp filter,
    and no capability but those over files.

    hide: a file or directory of the sandbox that is empty. room: bytes that the output directory can take, 0: any.
    secrets: passphrases by their names. usr: the programs' directory; stages: that of stagelib.
    """
    meta = json.loads((REPO / "assemblers" / f"{name}.meta.json").read_text())
    jsonschema.validate(options, meta["schema"], jsonschema.Draft202012Validator)
    output.mkdir(exist_ok=True)
    argv = ["bwrap", "--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    argv += ["--ro-bind", str(usr), "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"]
    for link in ("bin", "sbin", "lib", "lib64"):
        argv += ["--symlink", f"usr/{link}", f"/{link}"]
    if Path("/etc/alternatives").is_dir():  # where Debian's lzip leads
        argv += ["--ro-bind", "/etc/alternatives", "/etc/alternatives"]
    argv += ["--tmpfs", "/var/tmp", "--ro-bind", str(stages), "/run/osbuild/lib"]
    argv += ["--ro-bind", str(tree), "/run/osbuild/tree"]
    argv += ["--size", str(room), "--tmpfs", "/run/osbuild/output"] if room else []
    argv += ["--bind", str(output), "/run/osbuild/output"] if not room else []
    if hide:
        argv += ["--tmpfs", hide] if Path(hide).is_dir() else ["--ro-bind", "/dev/null", hide]
    argv += ["--ro-bind", str(REPO / "assemblers"), "/run/osbuild/assemblers", "--cap-drop", "ALL"]
    for capability in ("DAC_READ_SEARCH", "DAC_OVERRIDE", "FOWNER", "CHOWN", "SETFCAP", *meta["capabilities"]):
        argv += ["--cap-add", f"CAP_{capability.removeprefix('CAP_')}"]
    argv += ["--clearenv", "--setenv", "PATH", "/usr/sbin:/usr/bin", "--setenv", "LC_ALL", "C.UTF-8"]
    argv += ["--setenv", "PYTHONPATH", "/run/osbuild/lib", "--setenv", "SOURCE_DATE_EPOCH", str(EPOCH)]
    args = {"tree": "/run/osbuild/tree", "options": options, "output_dir": "/run/osbuild/output"}
    args |= {"secrets": secrets} if secrets else {}
    with tempfile.TemporaryFile() as reports, tempfile.TemporaryFile() as rules:
        rules.write(filter_program() or b"")
        rules.seek(0)
        argv += ["--seccomp", str(rules.fileno())]
        argv += ["--setenv", "COMPOSE_PROGRESS_FD", str(reports.fileno())]
        argv += ["--setenv", "PYTHONDONTWRITEBYTECODE", "1", "--", f"/run/osbuild/assemblers/{name}"]
        done = subprocess.run(
            argv,
            input=json.dumps(args),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            pass_fds=(reports.fileno(), rules.fileno()),
        )
        reports.seek(0)
        told = [json.loads(line) for line in reports]
    assert all(report["unit"] == "bytes" for report in told)
    return Result(done.returncode, done.stdout, tuple((report["done"], report["total"]) for report in told))


def disk_options(**more: Any) -> dict[str, Any]:
    """Options of org.osbuild.qemu: a raw disk of 64 MiB, unless said otherwise."""
    base = {"format": "raw", "filename": "disk.img", "ptuuid": "0x14fc63d2", "root_fs_uuid": ROOT_UUID}
    return {**base, "size": 64 * MIB, **more}


def make_difficult_tree(tree: Path) -> None:
    """A tree with one of everything that a file system can hold; needs root."""
    for directory in ("etc", "usr/bin", "usr/share/many", "var/empty", "var/tmp", "dev", "home/a b", "lost+found"):
        (tree / directory).mkdir(parents=True)
    (tree / "etc/hostname").write_text("difficult\n")
    (tree / "etc/shadow").write_text("root:*:1::::::\n")
    (tree / "etc/shadow").chmod(0o640)
    os.chown(tree / "etc/shadow", 0, 42)
    (tree / "usr/bin/su").write_bytes(b"\x7fELF" + bytes(3000))
    (tree / "usr/bin/su").chmod(0o4755)
    (tree / "usr/bin/ping").write_bytes(os.urandom(5000))
    os.chown(tree / "home/a b", 70000, 70001)
    os.link(tree / "usr/bin/ping", tree / "usr/bin/ping4")
    os.link(tree / "usr/bin/ping", tree / "etc/ping6")
    (tree / "usr/lib").symlink_to("share")
    (tree / "etc/long-link").symlink_to(("/" + "x" * 100) * 3)
    (tree / ("n" * 255)).write_text("a long name")
    for name in (b"\xc3\xbcn\xc3\xaf\ncode", b"not \xff\xfe UTF-8", b"-rf", b"back\\slash \\n", b"'a' \"b\" $(c) *"):
        Path(os.fsdecode(os.fsencode(tree / "etc") + b"/" + name)).write_text("a strange name")
    with (tree / "var/sparse").open("wb") as file:
        file.truncate(20 * MIB)
        file.seek(7 * MIB)
        file.write(b"in the middle")
    (tree / "var/zeroes").write_bytes(bytes(MIB))
    (tree / "var/tail").write_bytes(b"x" + bytes(10000))
    for number in range(900):
        (tree / f"usr/share/many/{number:04}-{'f' * (number % 40)}").write_text(str(number))
    (tree / "var/tmp").chmod(0o1777)
    tree.chmod(0o750)
    os.mkfifo(tree / "dev/fifo")
    os.mknod(tree / "dev/null", 0o20666, os.makedev(1, 3))
    os.setxattr(tree / "usr/bin/ping", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    os.setxattr(tree / "etc/hostname", "security.selinux", b"of_this:machine:hostname_t:s0\0")
    for name in ("z", "a", "m"):
        os.setxattr(tree / "etc/hostname", f"user.{name}", name.encode() * 50)
        os.setxattr(tree / "home/a b", f"user.{name}", name.encode() * 10)
    subprocess.run(["setfacl", "-m", "u:70000:rwx,g:42:r", tree / "etc/hostname"], check=True)
    subprocess.run(["setfacl", "-d", "-m", "u:70000:rwx", tree / "home/a b"], check=True)
    os.utime(tree / "etc/hostname", (1, 1_500_000_000))
    os.utime(tree / "etc/shadow", (1, EPOCH + 1000))
    for path in (tree / "lost+found", tree / "etc", tree / "usr", tree):
        os.utime(path, (1, EPOCH - 5))


def label(tree: Path, policy: str) -> None:
    """Give the tree file contexts, and have it labelled by them, as the stage org.osbuild.selinux does."""
    contexts = tree / "etc/selinux/targeted/contexts/files/file_contexts"
    contexts.parent.mkdir(parents=True)
    contexts.write_text(policy)
    options = {"file_contexts": str(contexts.relative_to(tree))}
    arguments = json.dumps({"tree": str(tree), "options": options})
    subprocess.run([REPO / "stages/org.osbuild.selinux"], input=arguments, text=True, check=True)


def copy(tree: Path, target: Path, *, backwards: bool = False, sparse: str = "auto") -> None:
    """Copy a tree, entries made in another order than before (first to last name, or backwards)."""
    archive = ["tar", "-C", str(tree), "--xattrs", "--xattrs-include=*", "--acls", "-cf", "-"]
    names = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*"))
    names = names[::-1] if backwards else names
    target.mkdir()
    listing = os.fsencode("".join(f"./{name}\0" for name in names))
    command = [
        *archive,
        *(["--sparse"] if sparse != "never" else []),
        "--no-recursion",
        "--no-unquote",
        "--null",
        "-T",
        "-",
    ]
    packed = subprocess.run(command, input=listing, capture_output=True, check=True).stdout
    unpack = ["tar", "-C", str(target), "--xattrs", "--xattrs-include=*", "--acls", "-xpf", "-"]
    subprocess.run(unpack, input=packed, check=True)
    shutil.copystat(tree, target)
    # Backwards a directory comes after what is in it, so that its own time was set before.
    for name in ["", *names]:
        os.utime(target / name, ns=(5, (tree / name).lstat().st_mtime_ns), follow_symlinks=False)
