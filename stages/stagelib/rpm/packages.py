"""The package files among the manifest's sources: their paths, names and signatures."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from stagelib import beside
from stagelib.dnf import config as homes
from stagelib.dnf.command import environment
from stagelib.dnf.config import PrivateHome
from stagelib.errors import StageError
from stagelib.rpm.options import Options

SOURCES = "/run/osbuild/sources"
RELEASE = re.compile(r"^system-release(?:\(releasever\))? = (?:\d+:)?([^-\s]+)")


def files(checksums: Sequence[str]) -> dict[str, str]:
    """The path of each file, by checksum. Raises StageError for one that is not among the manifest's sources."""
    there = {path.name: str(path) for path in Path(SOURCES).glob("*/*")}
    for checksum in checksums:
        if checksum not in there:
            raise StageError(
                f"the package {checksum} is not among the manifest's sources",
                'add its URL in "sources": {"org.osbuild.files": {"urls": {CHECKSUM: URL}}}',
            )
    return {checksum: there[checksum] for checksum in checksums}


def names(paths: Sequence[str], home: PrivateHome) -> dict[str, str]:
    """name-version-release.arch of each file. Raises StageError for one that is not an RPM package."""
    found = {}
    asked = ["rpm", "-qp", "--nosignature", "--nodigest", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\\n"]
    done = _run([*asked, *paths], home)
    printed = done.stdout.splitlines()
    if done.returncode == 0 and len(printed) == len(paths):
        return dict(zip(paths, printed, strict=True))
    for path in paths:
        one = _run([*asked, path], home)
        if one.returncode != 0:
            raise StageError(f"{Path(path).name} is not an RPM package: {one.stderr.strip().rpartition(': ')[2]}")
        found[path] = one.stdout.strip()
    return found


def releasever(paths: Sequence[str], home: PrivateHome) -> str:
    """The version of the package that provides `system-release`; "" when none does."""
    done = _run(["rpm", "-qp", "--nosignature", "--nodigest", "--provides", *paths], home)
    return next((match[1] for line in done.stdout.splitlines() if (match := RELEASE.match(line))), "")


def check(files_by_checksum: Mapping[str, str], named: Mapping[str, str], home: PrivateHome, options: Options) -> None:
    """Raise StageError unless each package that must be signed has a valid signature by one of the keys."""
    signed = [path for checksum, path in files_by_checksum.items() if checksum in options.signed]
    if not signed:
        return
    keyring = f"{home.path}/keyring"
    Path(keyring).mkdir()
    for number, text in enumerate(options.keys):
        write_key(home, number, text)
        done = _run([options.rpmkeys, "--dbpath", keyring, "--import", key_path(home, number)], home)
        if done.returncode != 0 and not options.may_lack_keys:
            why = done.stderr.strip().rpartition(": ")[2]
            raise StageError(f"gpgkeys[{number}] cannot be used: {why}", "give an ASCII-armoured OpenPGP public key")
    done = _run([options.rpmkeys, "--dbpath", keyring, "--define", "_pkgverify_level all", "-K", *signed], home)
    for path in signed:
        line = next((line for line in done.stdout.splitlines() if line.startswith(f"{path}:")), "")
        if done.returncode != 0 and ("NOT OK" in line or not line.endswith(" OK")):
            raise StageError(f"the package {named[path]} {_why(path, keyring, home, options)}", HINT)


HINT = "add the key that signed it to gpgkeys, or set check_gpg to false for this package"


def _why(path: str, keyring: str, home: PrivateHome, options: Options) -> str:
    printed = _run([options.rpmkeys, "--dbpath", keyring, "--define", "_pkgverify_level all", "-Kv", path], home).stdout
    if "NOKEY" in printed:
        return "is not signed by one of the gpgkeys"
    return "is damaged or was tampered with" if "BAD" in printed else "is not signed"


def key_path(home: PrivateHome, number: int) -> str:
    """The path of a key's file."""
    return f"{home.path}/key{number}.asc"


def write_key(home: PrivateHome, number: int, text: str) -> None:
    """Write a key's file."""
    homes.write(key_path(home, number), text)


def _run(argv: Sequence[str], home: PrivateHome) -> subprocess.CompletedProcess[str]:
    """Run rpm, which reads files that may be made to harm it, where it sees no more than them and `home`."""
    sandboxed = beside.command(home.path, argv, env=environment(home), read_only=(SOURCES,))
    return subprocess.run(sandboxed, capture_output=True, text=True, errors="replace", check=False)
