"""The build root, which is the system that stages run in: the host's /usr, or the tree of a build pipeline.

It is prepared once per pipeline, not per stage: the parts of /etc that programs need are collected in a directory.
A tree may be hostile: its symlinks are followed inside the tree only.
"""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from runner.errors import build_error

# The parts of the root's /etc that programs in its /usr need; nothing here reveals the host's users, network or keys.
# Of certificates these are the directories that hold no private keys: not all of ssl and pki, where those are beside.
ETC_SHARED = (
    "alternatives",
    "ca-certificates.conf",
    "ca-certificates/extracted",
    "crypto-policies",
    "ld.so.cache",
    "login.defs",
    "mke2fs.conf",
    "pki/ca-trust/extracted",
    "pki/rpm-gpg",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "rpm",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "xattr.conf",
)
ETC_OWN = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\ntty:x:5:\nmail:x:8:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "hostname": "localhost\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "host.conf": "multi on\n",
}
ETC_NETWORK = ("hosts", "resolv.conf", "gai.conf")
MAX_SYMLINKS = 40  # the kernel's own limit, path_resolution(7)


@dataclass(frozen=True)
class BuildRoot:
    """A build root as the bubblewrap arguments that make it visible.

    system is for /usr and what belongs to it, shared for parts of /etc; etc is the prepared directory below those, and
    etc_network the one for stages with network.
    """

    system: tuple[str, ...]
    shared: tuple[str, ...]
    etc: Path
    etc_network: Path

    def arguments(self, *, network: bool) -> list[str]:
        """The bubblewrap arguments that make this root visible."""
        return [*self.system, "--ro-bind", str(self.etc_network if network else self.etc), "/etc", *self.shared]


def prepare(root: Path, into: Path) -> BuildRoot:
    """Prepare the build root in the directory `root`; `into` is an empty directory for its /etc.

    What is made there can be read by everyone, whatever the umask: nobody in a sandbox is its owner. Raises RunnerError
    (build) for a tree without /usr.
    """
    etc, etc_network = into / "etc", into / "etc-network"
    shared: list[str] = []
    for directory in (etc, etc_network):
        _make_directory(directory)
        for name, text in ETC_OWN.items():
            (directory / name).write_text(text)
            (directory / name).chmod(0o644)
    for name in ETC_SHARED:
        source = beneath(root, f"etc/{name}")
        if source is None or not (source.is_dir() or source.is_file()):
            continue
        place = source.relative_to(root).as_posix()
        link = place != f"etc/{name}" and _is_visible(place)
        for directory in (etc, etc_network):
            _make_place(directory, name, source, link=f"/{place}" if link else None)
        if not link:
            shared += ["--ro-bind", str(source), f"/etc/{name}"]
    for name in ETC_NETWORK:
        # Stages share the host's network, so they resolve names as the host does.
        host = Path("/etc") / name
        if host.exists():
            shutil.copyfile(host, etc_network / name)
            (etc_network / name).chmod(0o644)
    return BuildRoot(system(root), tuple(shared), etc, etc_network)


def beneath(root: Path, path: str) -> Path | None:
    """Where a path of the system in `root` leads, symlinks and ".." followed inside it; None if it leads nowhere."""
    todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            del done[-1:]
            continue
        here = root.joinpath(*done, part)
        try:
            is_link = stat.S_ISLNK(os.lstat(here).st_mode)
        except (OSError, ValueError):
            return None
        if is_link:
            links += 1
            if links > MAX_SYMLINKS:
                return None
            target = os.readlink(here)
            if target.startswith("/"):
                done.clear()
            todo += [part for part in target.split("/") if part not in ("", ".")][::-1]
        else:
            done.append(part)
    return root.joinpath(*done)


def system(root: Path) -> tuple[str, ...]:
    """The bubblewrap arguments for a root's /usr and what belongs to it. Raises RunnerError (build) if it has none."""
    usr = beneath(root, "usr")
    if usr is None or not usr.is_dir():
        raise build_error(
            "the build root has no directory /usr, so no program can run in it",
            hint="the pipeline in `build` must install a system with Python",
        )
    argv = ["--ro-bind", str(usr), "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = root / name
        if path.is_symlink():
            argv += ["--symlink", os.readlink(path), f"/{name}"]
        elif path.is_dir():
            argv += ["--ro-bind", str(path), f"/{name}"]
    return tuple(argv)


def _is_visible(place: str) -> bool:
    """Whether a path of the root, relative to it, is in the sandbox anyway."""
    return any(
        place == part or place.startswith(f"{part}/") for part in ("usr", *(f"etc/{name}" for name in ETC_SHARED))
    )


def _make_place(etc: Path, name: str, source: Path, *, link: str | None) -> None:
    """Make the place that `source` is mounted on, or the link in its place."""
    target = etc / name
    for parent in [*target.relative_to(etc).parents][-2::-1]:
        _make_directory(etc / parent)
    if link is not None:
        target.symlink_to(link)
    elif source.is_dir():
        _make_directory(target)
    else:
        target.touch()


def _make_directory(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
