"""The apt stage's configuration and messages, without apt."""

import base64
from pathlib import Path

import pytest
from stagelib.apt import config, downloads, dpkg, dpkg_wrapper, lists, options, resolve, stubs
from stagelib.errors import StageError
from stagelib.packages.download_cache import Downloads

REPOSITORY = {"url": "http://mirror/debian", "suites": ["bookworm"], "components": ["main"], "keys": ["k"]}
RAW = {"architecture": "amd64", "repositories": [REPOSITORY], "packages": ["nginx"]}


def armoured(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\n{text}\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"


def test_armour_is_taken_off_every_block() -> None:
    assert config.keyring([armoured(b"one") + "text\n" + armoured(b"two"), armoured(b"three")]) == b"onetwothree"


@pytest.mark.parametrize("text", ["", "ssh-ed25519 AAAA", armoured(b"one").replace("b25l", "b2*l")])
def test_a_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StageError, match="key 1 of the repository"):
        config.keyring([text])


def test_defaults() -> None:
    wanted = options.from_json(RAW)
    assert wanted.repositories[0].url == "http://mirror/debian/"
    assert wanted.repositories[0].check_valid_until
    assert (wanted.exclude, wanted.recommends) == ((), False)


def test_a_source_is_trusted_through_its_own_keys_only() -> None:
    text = config.source(options.from_json(RAW).repositories[0], "amd64", "/ring.gpg")
    assert "Signed-By: /ring.gpg\n" in text
    assert "Check-Valid-Until: yes\n" in text
    assert "trusted" not in text.lower()


def test_lists_belong_to_exactly_their_repositories() -> None:
    other = {**RAW, "repositories": [{**REPOSITORY, "keys": ["other"]}]}
    same = {**RAW, "packages": ["sudo"]}
    first = lists.index_name(options.from_json(RAW))
    assert first == lists.index_name(options.from_json(same))
    assert first != lists.index_name(options.from_json(other))


def test_a_release_files_digests_are_read() -> None:
    text = "Suite: x\nMD5Sum:\n aa 1 main/Packages\nSHA256:\n bb 1 main/Packages\n cc 2 main/P.xz\nOther: x\n dd 3 e\n"
    assert lists.release_hashes(text) == {"main/Packages": "bb", "main/P.xz": "cc"}


@pytest.mark.parametrize(
    ("calls", "commands"),
    [
        ([], []),
        (["-u"], ["-u -k all"]),
        (["-c -k 6.1 -b /boot", "-u"], ["-c -k all"]),
        (["-d -k 6.0 -b /boot", "-u"], ["-d -k 6.0", "-u -k all"]),
        (["-c -k 6.1 -b /efi"], ["-c -k 6.1 -b /efi"]),
    ],
)
def test_the_initramfs_is_made_once_for_all_calls(calls: list[str], commands: list[str]) -> None:
    assert [" ".join(command[1:]) for command in stubs.initramfs(calls)] == commands


def test_certificates_are_made_afresh_if_anybody_wants_it() -> None:
    assert stubs.certificates([]) == []
    assert stubs.certificates(["", "--hooksdir "]) == [[stubs.CERTIFICATES]]
    assert stubs.certificates(["", "--fresh"]) == [[stubs.CERTIFICATES, "--fresh"]]


def test_a_failed_script_is_found_in_dpkgs_output() -> None:
    lines = [
        "Setting up good (1) ...",
        "fine",
        "Setting up bad:amd64 (1) ...",
        "oh no",
        "dpkg: error processing package bad:amd64 (--configure):",
        " installed bad:amd64 package post-installation script subprocess returned error exit status 3",
        "dpkg: dependency problems prevent configuration of other:",
        "dpkg: error processing package other (--configure):",
        " dependency problems - leaving unconfigured",
    ]
    error = dpkg.failure(lines, 1)
    assert str(error).startswith("package bad:amd64: installed bad:amd64 package post-installation script")
    assert str(error).endswith("\n  oh no")
    assert "good" not in str(error)


def test_an_archive_that_dpkg_refuses_is_named_as_its_package() -> None:
    lines = [
        "dpkg: regarding .../13-ssh_1_all.deb containing ssh, pre-dependency problem:",
        " ssh pre-depends on init-system-helpers",
        "",
        "dpkg: error processing archive /tmp/apt/temporary/apt-dpkg-install-qZcDD9/13-ssh_1_all.deb (--unpack):",
        " pre-dependency problem - not installing ssh",
    ]
    error = dpkg.failure(lines, 1)
    assert str(error).startswith("package ssh: pre-dependency problem - not installing ssh")
    assert "script" not in error.hint


@pytest.mark.parametrize("database", [["--admindir", "/tree/var/lib/dpkg/"], ["--admindir=/tree/var/lib/dpkg/"], []])
def test_the_trees_dpkg_uses_its_own_database(database: list[str]) -> None:
    arguments = ["--force-unsafe-io", *database, "--status-fd", "11", "--unpack", "--recursive", "/tmp/x"]
    assert dpkg_wrapper.own_database(arguments) == [arguments[0], *arguments[1 + len(database) :]]


def test_packages_that_do_not_fit_are_not_begun(tmp_path: Path) -> None:
    archive = resolve.Archive("http://mirror/a.deb", "a_1_all.deb", 10**18, "0" * 64)
    with pytest.raises(StageError, match=r"1000000000000 MB of packages .* MB are free"):
        downloads.fetch(config.Apt(str(tmp_path), str(tmp_path)), [archive], Downloads(str(tmp_path), str(tmp_path)))
    assert "no space left" in str(
        downloads.failure("E: Error writing to file - write (28: No space left on device)", 1)
    )


def test_a_download_that_begins_again_while_it_is_measured(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("12345")
    (tmp_path / "gone").symlink_to("nowhere")  # as it looks between being listed and being measured
    assert downloads.arrived(str(tmp_path)) == 5


def test_a_full_disk_is_reported_as_such() -> None:
    assert "no space left" in str(dpkg.failure(["cp: error writing 'x': No space left on device"], 1))
