"""A private apt: nothing of the host's configuration, sources, keys or state is read or changed."""

import base64
import binascii
import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stagelib.apt.options import Options, Preference, Repository
from stagelib.errors import StageError


@dataclass(frozen=True)
class Apt:
    """The host's apt programs with a private configuration in the directory `home`."""

    home: str
    lists: str

    def run(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run an apt program and capture its output; does not raise when it fails."""
        return subprocess.run(argv, env=self.environment(), capture_output=True, text=True, check=False)

    def environment(self) -> dict[str, str]:
        """The environment in which the host's apt programs read only this configuration."""
        return {**os.environ, "APT_CONFIG": f"{self.home}/apt.conf", "TMPDIR": f"{self.home}/temporary"}


def make(home: str, lists: str, status: str, options: Options, *, extra: Sequence[str] = ()) -> Apt:
    """Write an apt configuration into the empty directory `home`.

    lists: the directory of the repositories' indexes; status: the dpkg status file to resolve against;
    extra: more lines for apt.conf. Raises StageError for an invalid key.
    """
    for name in ("etc/preferences.d", "state", "cache/archives/partial", "temporary"):
        os.makedirs(f"{home}/{name}")
    os.makedirs(f"{lists}/partial", exist_ok=True)
    stanzas = []
    for repository in options.repositories:
        content = keyring(repository.keys)
        # By its content: apt wants the same file for repositories that share an address and a suite.
        ring = f"{home}/etc/keyring-{hashlib.sha256(content).hexdigest()[:16]}.gpg"
        _write(ring, content)
        stanzas.append(source(repository, options.architecture, ring))
    _write(f"{home}/etc/repositories.sources", "\n".join(stanzas).encode())
    _write(f"{home}/etc/preferences", preferences(options.exclude, options.preferences).encode())
    _write(f"{home}/apt.conf", "\n".join([*_settings(home, lists, status, options), *extra, ""]).encode())
    return Apt(home, lists)


def source(repository: Repository, architecture: str, ring: str) -> str:
    """The deb822 source of a repository, trusted only through the keyring at `ring` if its signature is checked."""
    lines = [
        "Types: deb",
        f"URIs: {repository.url}",
        f"Suites: {' '.join(repository.suites)}",
        *([f"Components: {' '.join(repository.components)}"] if repository.components else []),
        f"Architectures: {architecture}",
        f"Signed-By: {ring}" if repository.check_signatures else "Trusted: yes",
        f"Check-Valid-Until: {'yes' if repository.check_valid_until else 'no'}",
    ]
    return "\n".join(lines) + "\n"


def preferences(exclude: Sequence[str], pins: Sequence[Preference] = ()) -> str:
    """apt preferences with these pins, under which no version of the excluded packages is a candidate."""
    excluded = [Preference(name, "release *", -1) for name in exclude]
    return "".join(
        f"Package: {one.package}\nPin: {one.pin}\nPin-Priority: {one.priority}\n\n" for one in (*excluded, *pins)
    )


def _settings(home: str, lists: str, status: str, options: Options) -> list[str]:
    return [
        'Dir::Etc::parts "/dev/null";',
        'Dir::Etc::main "/dev/null";',
        f'Dir::Etc::sourcelist "{home}/etc/repositories.sources";',
        'Dir::Etc::sourceparts "/dev/null";',
        f'Dir::Etc::preferences "{home}/etc/preferences";',
        f'Dir::Etc::preferencesparts "{home}/etc/preferences.d";',
        'Dir::Etc::trusted "/dev/null";',
        'Dir::Etc::trustedparts "/dev/null";',
        'Dir::Etc::netrc "/dev/null";',
        'Dir::Etc::netrcparts "/dev/null";',
        f'Dir::State "{home}/state";',
        f'Dir::State::lists "{lists}";',
        f'Dir::State::status "{status}";',
        f'Dir::Cache "{home}/cache";',
        f'Dir::Log "{home}/temporary";',
        f'APT::Architecture "{options.architecture}";',
        f'APT::Architectures {{ "{options.architecture}"; }};',
        f'APT::Install-Recommends "{"true" if options.recommends else "false"}";',
        'APT::Install-Suggests "false";',
        'APT::Get::Assume-Yes "true";',
        'APT::Cmd::Pattern-Only "true";',  # no regular expressions and tasks among names
        'APT::Sandbox::User "root";',
        'APT::Update::Error-Mode "any";',
        'pkgCacheGen::ForceEssential ",";',  # otherwise apt treats itself as Essential
        # Not sqv, which apt 3 prefers: it checks keys at the time of SOURCE_DATE_EPOCH, when an expired one was valid.
        'APT::Key::GPGVCommand "gpgv";',
        'Acquire::Languages "none";',
        'Acquire::Retries "3";',
        'Acquire::ForceHash "SHA256";',  # what --print-uris prints
        'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
    ]


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


BLOCK = re.compile(r"-----BEGIN PGP PUBLIC KEY BLOCK-----\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)


def keyring(armoured: Iterable[str]) -> bytes:
    """One binary keyring of all keys in the armoured texts; a text may contain several blocks.

    Raises StageError when a text contains no key or a damaged one: apt would report only NO_PUBKEY.
    """
    ring = b""
    for number, text in enumerate(armoured, start=1):
        blocks = BLOCK.findall(text.replace("\r\n", "\n"))
        if not blocks:
            raise StageError(
                f"key {number} of the repository is not an ASCII-armoured OpenPGP public key",
                "use the text that starts with -----BEGIN PGP PUBLIC KEY BLOCK-----",
            )
        for block in blocks:
            ring += _dearmour(block, number)
    return ring


def _dearmour(block: str, number: int) -> bytes:
    """The packets of one armour block (RFC 9580 section 6): headers, empty line, base64, optional =checksum."""
    lines = [line.strip() for line in block.split("\n")]
    body = lines[lines.index("") + 1 :] if "" in lines[:-1] else lines
    data = "".join(line for line in body if not line.startswith("="))
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise StageError(f"key {number} of the repository is damaged: {error}", "copy the key's text again") from None
