"""Reading packages and deciding how they are unpacked, without privileges."""

import hashlib
import os
import re
from pathlib import Path

import pytest
from stagelib.apt import auto_installed, database, deb, order, stat_overrides
from stagelib.apt.deb import ControlFile
from stagelib.apt.extract import Unpacked
from stagelib.apt.package import Package, is_idle_preinst, parse_control, related_names
from stagelib.apt.resolve import Archive

IDLE = """#!/bin/sh
# Automatically added by dh_installdeb/13.11.4
set -e
dpkg-maintscript-helper rm_conffile /etc/perl/sitecustomize.pl 5.26.0\\~rc1-2\\~ perl -- "$@"
# End automatically added section
if [ "$1" = "install" ] && [ -n "$2" ] && [ -e "/etc/init.d/dbus" ] ; then
\tchmod +x "/etc/init.d/dbus" >/dev/null || true
fi
exit 0
"""


def make(name: str, **fields: str) -> Package:
    files = {key: value for key, value in fields.items() if key in ("preinst", "conffiles", "triggers")}
    relations = {key.replace("_", "-"): value for key, value in fields.items() if key not in files}
    stanza = {"Package": name, "Version": "1", "Architecture": "all", **relations}
    text = "".join(f"{key}: {value}\n" for key, value in stanza.items())
    members = {"control": text, "md5sums": "", **files}
    archive = Archive(f"http://x/{name}.deb", f"{name}_1_all.deb", 1, hashlib.sha256(text.encode()).hexdigest())
    return Package(archive, {key: ControlFile(value.encode(), 0o644, 0) for key, value in members.items()})


@pytest.mark.parametrize("script", [IDLE, "#!/bin/sh\n", "#!/bin/sh -e\nset -eu\n\nexit 0\n"])
def test_what_debhelper_writes_does_nothing_on_a_first_installation(script: str) -> None:
    assert is_idle_preinst(script)


@pytest.mark.parametrize(
    "script",
    [
        IDLE.replace("exit 0", "touch /etc/x"),
        IDLE.replace('[ -n "$2" ] && ', ""),
        IDLE.replace("|| true", "; touch /etc/x"),
        '#!/bin/sh\ndpkg-maintscript-helper rm_conffile /etc/x 1 -- "$@"; touch /etc/y\n',
        '#!/bin/sh\ndpkg-maintscript-helper rm_conffile /etc/$(touch /etc/y) 1 -- "$@"\n',
        "#!/bin/sh\ndpkg-divert --add /bin/sh\n",
        "#!/usr/bin/perl\n",
        "set -e\n",
    ],
)
def test_everything_else_is_run_by_dpkg(script: str) -> None:
    assert not is_idle_preinst(script)


def test_a_stanza_keeps_continued_fields() -> None:
    stanza = parse_control("Package: a\nDescription: one\n two\n .\n three\nDepends: b (>= 1) | c [amd64],\n d:any\n")
    assert stanza["Description"] == "one\n two\n .\n three"
    assert related_names(stanza, "Depends") == [["b", "c"], ["d"]]


def test_the_foundation_is_what_essential_packages_need() -> None:
    packages = [
        make("app", Depends="lib"),
        make("dash", Essential="yes", Pre_Depends="lib, awk"),
        make("lib"),
        make("mawk", Provides="awk"),
        make("extra"),
    ]
    names = [package.name for package in order.Relations(packages).foundation()]
    assert names == ["dash", "lib", "mawk"]


def test_pre_depends_are_configured_before_dpkg_unpacks() -> None:
    early, helper = make("early", Depends="helper"), make("helper")
    one, two, last = make("one"), make("two", Pre_Depends="early"), make("last", Pre_Depends="two")
    relations = order.Relations([one, two, last, early, helper])
    steps = relations.unpacking([last, one, two], [])
    assert [(step.action, [package.name for package in step.packages]) for step in steps] == [
        ("configure", ["early", "helper"]),
        ("unpack", ["two"]),
        ("configure", ["two"]),
        ("unpack", ["last", "one"]),
    ]


def test_reasons_for_dpkg() -> None:
    assert make("a", preinst=IDLE).reason_for_dpkg == ""
    assert make("a", preinst="#!/bin/sh\nrm /x\n").reason_for_dpkg == "its preinst does something"
    assert make("a", conffiles="remove-on-upgrade /etc/x\n").reason_for_dpkg == "it has conffiles with flags"


def test_status_carries_the_digest_of_conffiles() -> None:
    package = make("a", conffiles="/etc/a.conf\n")
    text = database.stanza(package, {"/etc/a.conf": "0" * 32})
    assert text.endswith(f"Status: install ok unpacked\nConffiles:\n /etc/a.conf {'0' * 32}\n")


def test_files_of_two_packages_are_found_also_through_a_merged_usr() -> None:
    a, b, c = make("a"), make("b"), make("c")
    unpacked = {a: Unpacked(files=["/bin/x"]), b: Unpacked(files=["/usr/bin/x"]), c: Unpacked(files=["/usr/x"])}
    assert database.overlapping(unpacked) == {a, b}


def test_the_first_package_decides_about_a_directory() -> None:
    first = Unpacked(directories=[("/usr/d", 0o755, 0, 0), ("/usr/e", 0o755, 0, 0)])
    second = Unpacked(directories=[("/usr/d", 0o2775, 0, 50), ("/usr/e", 0o755, 0, 0)])
    assert database.first_directories([first, second]) == [("/usr/d", 0o755, 0, 0)]


def test_triggers_are_activated_as_unpacking_would() -> None:
    heard = make("libc-bin", triggers="interest-await ldconfig\ninterest-noawait /usr/share/shells\n")
    library = make("lib", triggers="# comment\nactivate-noawait ldconfig\n")
    shell = make("shell")
    unpacked = {library: Unpacked(paths=["/."]), shell: Unpacked(paths=["/.", "/usr/share/shells/x"])}
    assert database.activations(unpacked, [heard]) == "ldconfig -\n/usr/share/shells -\n"


def test_damaged_packages_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(b"not a package")
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(deb.DebError, match=r"not a \.deb"):
        deb.control(fd)
    os.close(fd)
    with pytest.raises(deb.DebError, match=r"\.\."):
        deb.clean("usr/../../etc/passwd")


def marked(packages: list[Package], essential: set[str], *requested: str) -> list[str]:
    text = auto_installed.extended_states(packages, essential, requested, "amd64")
    return re.findall(r"(?m)^Package: (.*)$", text)


def test_only_dependencies_are_marked_as_automatic() -> None:
    packages = [make("nginx", Provides="httpd"), make("nginx-common"), make("sudo")]
    text = auto_installed.extended_states(packages, [], ["httpd", "sudo=1.9"], "amd64")
    assert text == "Package: nginx-common\nArchitecture: amd64\nAuto-Installed: 1\n\n"


def test_whoever_provides_a_real_packages_name_is_a_dependency() -> None:
    packages = [make("php-module"), make("php8.2-module", Provides="php-module")]
    assert marked(packages, set(), "php-module") == ["php8.2-module"]
    assert marked(packages, set(), "php-module:amd64=2") == ["php8.2-module"]


def test_what_essential_packages_need_is_not_marked_but_what_could_replace_it_is() -> None:
    packages = [make("base-files", Pre_Depends="awk"), make("mawk", Provides="awk"), make("gawk", Provides="awk"),
                make("libreadline8"), make("install-info")]  # fmt: skip
    essential = {"base-files", "mawk"}
    assert marked(packages, essential, "gawk") == ["install-info", "libreadline8"]


def test_stat_overrides_are_read_as_dpkg_does() -> None:
    text = "root mail 2755 /usr/bin/a b\n#7 #8 0640 /x\nnobody-here root 755 /y\nroot root 9 /z\nroot root 755 z\n\n"
    assert stat_overrides.parse(text, {"root": 0}, {"root": 0, "mail": 8}) == [
        stat_overrides.Override("/usr/bin/a b", 0, 8, 0o2755),
        stat_overrides.Override("/x", 7, 8, 0o640),
    ]
