"""The build root, which is the system that stages run in: the host's /usr, or the tree of a build pipeline.

It is prepared once per pipeline, not per stage: the parts of /etc that programs need are collected in a directory.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

# The parts of the root's /etc that programs in its /usr need; nothing here reveals the host's users or network.
ETC_SHARED = (
    "alternatives",
    "ca-certificates.conf",
    "crypto-policies",
    "ld.so.cache",
    "login.defs",
    "mke2fs.conf",
    "pki",
    "rpm",
    "ssl",
    "xattr.conf",
)
ETC_OWN = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\ntty:x:5:\nmail:x:8:\nnogroup:x:65534:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "hostname": "build\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "host.conf": "multi on\n",
}
ETC_NETWORK = ("hosts", "resolv.conf", "gai.conf")


@dataclass(frozen=True)
class BuildRoot:
    """root is the directory whose usr is used, etc the prepared /etc, etc_network the one for stages with network."""

    root: Path
    etc: Path
    etc_network: Path

    def arguments(self, *, network: bool) -> list[str]:
        """The bubblewrap arguments that make this root visible."""
        argv = ["--ro-bind", str(self.root / "usr"), "/usr"]
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            path = self.root / name
            if path.is_symlink():
                argv += ["--symlink", os.readlink(path), f"/{name}"]
            elif path.is_dir():
                argv += ["--ro-bind", str(path), f"/{name}"]
        argv += ["--ro-bind", str(self.etc_network if network else self.etc), "/etc"]
        for name in ETC_SHARED:
            path = self.root / "etc" / name
            if path.exists():
                argv += ["--ro-bind", str(path), f"/etc/{name}"]
        return argv


def prepare(root: Path, into: Path) -> BuildRoot:
    """Prepare the build root in the directory `root`; `into` is an empty directory for its /etc."""
    etc, etc_network = into / "etc", into / "etc-network"
    for directory in (etc, etc_network):
        directory.mkdir(parents=True)
        for name, text in ETC_OWN.items():
            (directory / name).write_text(text)
        for name in ETC_SHARED:
            source = root / "etc" / name
            if source.is_dir():
                (directory / name).mkdir()
            elif source.exists():
                (directory / name).touch()
    for name in ETC_NETWORK:
        # Stages share the host's network, so they resolve names as the host does.
        source = Path("/etc") / name
        if source.exists():
            shutil.copyfile(source, etc_network / name)
    return BuildRoot(root, etc, etc_network)
