"""A signed apt repository of our own on the loopback: for packages and accidents that Debian does not have."""

import gzip
import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path


@dataclass(frozen=True)
class Contents:
    """A package to build: fields beside Package and Version, files by path, control files by name."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    control: Mapping[str, str] = field(default_factory=dict)
    commands: str = ""  # a shell script that changes the files before they are packed
    md5sums: bool = True
    compression: str = "xz"


class Key:
    """An OpenPGP key pair in a directory of its own."""

    def __init__(self, home: Path, *, expires: str = "0") -> None:
        self.home = home
        home.mkdir(mode=0o700)
        self.gpg("--quick-gen-key", "Test <test@example.org>", "ed25519", "sign", expires)
        self.armoured = self.gpg("--armor", "--export")

    def gpg(self, *args: str, stdin: str = "") -> str:
        """Run gpg on this key."""
        command = ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--passphrase", "", "--pinentry-mode"]
        command += ["loopback", *args]
        try:
            return subprocess.run(command, input=stdin, text=True, check=True, capture_output=True).stdout
        finally:
            subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=True)


class Repository:
    """The directory that the server shows; suite "test", component "main"."""

    def __init__(self, root: Path, key: Key) -> None:
        self.root, self.key = root, key
        self.url = ""
        (root / "pool").mkdir(parents=True, exist_ok=True)

    def add(self, name: str, contents: Contents, version: str = "1.0") -> Path:
        """Build a package into the pool; returns its path."""
        work = self.root.parent / f"{name}-{version}"
        for path, text in contents.files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        (work / "DEBIAN").mkdir(parents=True)
        subprocess.run(["sh", "-ec", contents.commands], cwd=work, check=True)
        fields = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "Test <test@example.org>"}
        fields |= {"Description": "test", **contents.fields}
        (work / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
        for path, text in contents.control.items():
            (work / "DEBIAN" / path).write_text(text)
            (work / "DEBIAN" / path).chmod(0o755 if text.startswith("#!") else 0o644)
        if contents.md5sums:
            sums = [
                f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(work)}\n"
                for path in sorted(work.rglob("*"))
                if path.is_file() and not path.is_symlink() and "DEBIAN" not in path.parts
            ]
            (work / "DEBIAN/md5sums").write_text("".join(sums))
        target = self.root / "pool" / f"{name}_{version}_{fields['Architecture']}.deb"
        argv = ["dpkg-deb", f"-Z{contents.compression}", "-z1", "--build", work, target]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        return target

    def publish_flat(self, *, signed: bool = True) -> None:
        """Write the indexes of a flat repository, as `dpkg-scanpackages .` does, and sign them."""
        index = self._index().encode()
        (self.root / "Packages.gz").write_bytes(gzip.compress(index, mtime=0))
        (self.root / "Packages").write_bytes(index)
        if signed:
            rows = f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
            date = subprocess.check_output(["date", "-Ru"], text=True).strip()
            release = f"Suite: flat\nDate: {date}\nSHA256:\n{rows}"
            (self.root / "InRelease").write_text(self.key.gpg("--clearsign", stdin=release))

    def _index(self) -> str:
        """The text of Packages."""
        stanzas = []
        for path in sorted((self.root / "pool").glob("*.deb")):
            control = subprocess.check_output(["dpkg-deb", "-f", path], text=True)
            data = path.read_bytes()
            more = f"Filename: pool/{path.name}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
            stanzas.append(control + more)
        return "\n".join(stanzas)

    def publish(self, key: Key | None = None) -> None:
        """Write and sign the indexes."""
        index = self._index().encode()
        suite = self.root / "dists/test"
        rows = []
        for name, data in (("Packages", index), ("Packages.gz", gzip.compress(index, mtime=0))):
            path = suite / "main/binary-amd64" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            rows.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-amd64/{name}\n")
        date = subprocess.check_output(["date", "-Ru"], text=True).strip()
        release = f"Suite: test\nCodename: test\nComponents: main\nArchitectures: amd64\nDate: {date}\nSHA256:\n"
        (suite / "InRelease").write_text((key or self.key).gpg("--clearsign", stdin=release + "".join(rows)))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def served(root: Path) -> Iterator[str]:
    """The URL under which the directory can be reached."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
