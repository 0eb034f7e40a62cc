"""Small RPMs and repositories of them: for accidents that the stand-in repository does not have."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

ARCH = "x86_64"
DATE = 1_600_000_000  # of the packages, 2020-09-13
MACROS = {
    "_build_id_links": "none",
    "_buildhost": "test.invalid",
    "_missing_build_ids_terminate_build": "0",
    "_rpmfilename": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    "__os_install_post": "%{nil}",
}
COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>core</id><name>Core</name><description>c</description><default>true</default>
<uservisible>true</uservisible><packagelist>{}</packagelist></group></comps>
"""


def run(argv: Sequence[str | Path], **environment: str) -> str:
    """Run a program that succeeds, with little in its environment; returns what it prints."""
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Package:
    """A package to build.

    tags: lines of the preamble; sections: what follows %files; files: path to (attributes, text); copies: path to the
    file of this machine that it is, and copied are the attributes of those.
    """

    name: str
    tags: str = ""
    sections: str = ""
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    copied: str = ""
    version: str = "1"

    @property
    def nevra(self) -> str:
        """What dnf and rpm call it."""
        return f"{self.name}-{self.version}-1.{ARCH}"

    def with_text(self, text: str, other: str) -> "Package":
        """The package with another text in the files that have just this one."""
        files = {path: (how, other if was == text else was) for path, (how, was) in self.files.items()}
        return replace(self, files=files)

    def build(self, work: Path) -> Path:
        """Build it in the directory `work`; returns the file."""
        (work / "files").mkdir(parents=True)
        listed = []
        for number, (path, (attributes, text)) in enumerate(self.files.items()):
            (work / f"files/{number}").write_text(text)
            listed.append((path, attributes, f"install -D -m 0755 files/{number} %{{buildroot}}{path}"))
        for path, source in self.copies.items():
            listed.append((path, self.copied, f"install -D -m 0755 {source} %{{buildroot}}{path}"))
        install = "\n".join(command if "%dir" not in attributes else f"mkdir -p %{{buildroot}}{path}"
                            for path, attributes, command in listed if "%dev" not in attributes)  # fmt: skip
        owned = "\n".join(f"{attributes} {path}" for path, attributes, _ in listed)
        spec = (
            f"Name: {self.name}\nVersion: {self.version}\nRelease: 1\nSummary: test\nLicense: none\nAutoReqProv: no\n"
        )
        spec += f"{self.tags}\n%description\ntest\n%install\n{install}\n%files\n{owned}\n{self.sections}\n"
        (work / "package.spec").write_text(spec)
        macros = {**MACROS, "_topdir": str(work), "_rpmdir": str(work), "_builddir": str(work), "_dbpath": f"{work}/db"}
        argv = ["rpmbuild", "-bb", "--quiet", "--target", f"{ARCH}-linux", "--buildroot", str(work / "root")]
        argv += [word for name, value in macros.items() for word in ("--define", f"{name} {value}")]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(work),
            "LC_ALL": "C.UTF-8",
            "SOURCE_DATE_EPOCH": str(DATE),
        }
        done = subprocess.run(
            [*argv, work / "package.spec"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return work / f"{self.nevra}.rpm"


# https://github.com/fedora-modularity/libmodulemd/tree/main/yaml_specs
MODULE = """---
document: modulemd-defaults
version: 1
data: {{module: {name}, stream: "{default}"}}
"""
STREAM = """---
document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: 1
  context: "0"
  arch: {arch}
  summary: test
  description: test
  license: {{module: [none]}}
  dependencies: [{{requires: {{{requires}}}}}]
  artifacts: {{rpms: [{rpms}]}}
"""


def modules(name: str, default: str) -> str:
    """The metadata of a module with a default stream."""
    return MODULE.format(name=name, default=default)


def stream(name: str, stream: str, packages: Sequence[Package]) -> str:
    """The metadata of a module's stream with these packages."""
    rpms = ", ".join(f"{one.name}-0:{one.version}-1.{ARCH}" for one in packages)
    requires = "" if name == "platform" else "platform: [f30]"
    return STREAM.format(name=name, stream=stream, arch=ARCH, rpms=rpms, requires=requires)


class Key:
    """An OpenPGP key pair in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(mode=0o700, parents=True)
        # RSA, which rpm of all ages can verify.
        self._run(
            "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "Test <test@example.org>", "rsa2048"
        )
        self.armoured = self._run("gpg", "--armor", "--export")

    def sign(self, *files: Path) -> None:
        """Sign RPMs, instead of a signature that they may have."""
        defines = ["--define", "__gpg /usr/bin/gpg", "--define", "_gpg_name test@example.org"]
        self._run("rpmsign", *defines, "--define", f"_dbpath {self.home}/db", "--resign", *files)

    def _run(self, *argv: str | Path) -> str:
        try:
            return run(argv, GNUPGHOME=str(self.home), HOME=str(self.home))
        finally:
            subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=True)


class RpmRepository:
    """The directory `root`, which a server shows: packages, `repodata`, and a metalink for it."""

    def __init__(self, root: Path, core: tuple[str, ...]) -> None:
        """core: what is in the group of that name."""
        self.root, self.core = root, core
        root.mkdir(parents=True, exist_ok=True)

    def publish(self, documents: Sequence[str] = ()) -> None:
        """Write the metadata of what is in the directory. documents: modules and streams, in YAML."""
        required = "".join(f'<packagereq type="mandatory">{name}</packagereq>' for name in self.core)
        comps = self.root.parent / f"{self.root.name}-comps.xml"
        comps.write_text(COMPS.format(required))
        shutil.rmtree(self.root / "repodata", ignore_errors=True)
        argv = ["createrepo_c", "--quiet", "--no-database", "--groupfile", comps, "--revision", str(DATE)]
        subprocess.run([*argv, "--set-timestamp-to-revision", self.root], check=True, stdout=subprocess.DEVNULL)
        if documents:
            file = self.root.parent / f"{self.root.name}-modules.yaml"
            file.write_text("".join(documents))
            run(["modifyrepo_c", "--mdtype=modules", file, self.root / "repodata"])

    @property
    def repomd(self) -> Path:
        """The index of the metadata."""
        return self.root / "repodata/repomd.xml"

    @property
    def checksum(self) -> str:
        """As the stage's option `checksum`."""
        return "sha256:" + hashlib.sha256(self.repomd.read_bytes()).hexdigest()

    def metalink(self, url: str, digest: str = "") -> str:
        """A metalink for the repository at `url`; digest: another sha512 than repomd.xml's own."""
        data = self.repomd.read_bytes()
        digest = digest or hashlib.sha512(data).hexdigest()
        return (
            '<?xml version="1.0" encoding="utf-8"?>\n<metalink version="3.0" xmlns="http://www.metalinker.org/">'
            f'<files><file name="repomd.xml"><size>{len(data)}</size><verification><hash type="sha512">{digest}</hash>'
            f'</verification><resources><url protocol="http" preference="100">{url}/repodata/repomd.xml</url>'
            "</resources></file></files></metalink>\n"
        )

    def copy(self, root: Path) -> "RpmRepository":
        """Another repository with the same contents."""
        other = RpmRepository(root, self.core)
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return other
