"""What is said about packages that installing others removed."""

from stagelib.apt import removed

BASE = """\
Package: systemd-resolved
Status: install ok installed
Provides: resolvconf
Conflicts: resolvconf

Package: systemd-timesyncd
Status: install ok installed
Provides: time-daemon
Conflicts: time-daemon

Package: init
Status: install ok installed
Pre-Depends: systemd-sysv | other-init

Package: systemd-sysv
Status: install ok installed
Conflicts: sysvinit-core (<< 1)

Package: gone-before
Status: deinstall ok config-files

Package: obsolete
Status: install ok installed
"""
NEW = """\
Package: resolvconf
Status: install ok installed

Package: chrony
Status: install ok installed
Provides: time-daemon
Conflicts: time-daemon

Package: time-tools
Status: install ok installed
Depends: base-files, openntpd | time-daemon (>= 1)

Package: sysvinit-core
Status: install ok installed

Package: systemd-timesyncd
Status: deinstall ok config-files
Conflicts: time-daemon
"""


def test_packages_are_named_with_what_removed_them() -> None:
    before, after = removed.installed(BASE), removed.installed(NEW)
    assert removed.notes(before, after, ["resolvconf=1.91", "time-tools", "sysvinit-core/sid"]) == [
        "init was removed with systemd-sysv, which it needs",
        "obsolete was removed",
        "resolvconf removed systemd-resolved, with which it conflicts",
        "sysvinit-core removed systemd-sysv, with which it conflicts",
        "chrony (needed by time-tools) removed systemd-timesyncd, with which it conflicts",
    ]


def test_nothing_is_said_when_nothing_was_removed() -> None:
    before = removed.installed(BASE)
    newer = removed.installed(BASE.replace("Package: obsolete\n", "Package: obsolete\nVersion: 2\n"))
    assert (
        removed.notes(before, {**newer, **removed.installed("Package: a\nStatus: install ok installed\n")}, ["a"]) == []
    )
