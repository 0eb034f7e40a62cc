"""The options of org.osbuild.rpm as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """The stage's options; see its meta.json.

    packages: checksums ("sha256:...") of files; signed: those of them that one of `keys` must have signed; keys:
    ASCII-armoured OpenPGP public keys; key_files: such files of the tree; languages: rpm's %_install_langs.
    """

    packages: tuple[str, ...]
    signed: frozenset[str]
    keys: tuple[str, ...]
    key_files: tuple[str, ...]
    dbpath: str | None
    languages: str
    without_docs: bool
    without_dependencies: bool
    without_dracut: bool
    ostree_booted: bool
    boot_root: str | None
    rpmkeys: str
    may_lack_keys: bool


def from_json(options: Mapping[str, Any]) -> Options:
    """The options as the runner has validated them, with the defaults filled in."""
    keys = tuple(options.get("gpgkeys", ()))
    packages, signed = [], set()
    for one in options.get("packages", ()):
        # With a checksum alone, signatures are checked if there are keys.
        checksum = one if isinstance(one, str) else one["checksum"]
        packages.append(checksum)
        if bool(keys) if isinstance(one, str) else one.get("check_gpg", False):
            signed.add(checksum)
    rpmkeys = options.get("rpmkeys", {})
    return Options(
        packages=tuple(dict.fromkeys(packages)),
        signed=frozenset(signed),
        keys=keys,
        key_files=tuple(options.get("gpgkeys.fromtree", ())),
        dbpath=options.get("dbpath"),
        languages=":".join(options.get("install_langs", ("all",))),
        without_docs=options.get("exclude", {}).get("docs", False),
        without_dependencies=options.get("nodeps", False),
        without_dracut=options.get("disable_dracut", False),
        ostree_booted=options.get("ostree_booted", False),
        boot_root=options.get("kernel_install_env", {}).get("boot_root"),
        rpmkeys=rpmkeys.get("bin_path", "rpmkeys"),
        may_lack_keys=rpmkeys.get("ignore_import_failures", False),
    )
