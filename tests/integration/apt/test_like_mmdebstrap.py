"""Trees of the apt stage are those of mmdebstrap, entry by entry, with dpkg's, debconf's and apt's databases."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration import apt_sandbox
from tests.integration.apt import comparing, mmdebstrap, odd_packages
from tests.integration.apt_repository import Key, Repository, served
from tests.integration.apt_sandbox import SANDBOX_NAME, SERVER, Workplace, debian, options

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="compares with trees that only root can make"),
    pytest.mark.skipif(not apt_sandbox.host().security, reason="this machine's apt has no Debian mirror"),
]

# One of everything in little time: a diversion (molly-guard), alternatives, stat overrides and debconf's questions
# (postfix), triggers (man-db), users, units, capabilities (iputils-ping), and what else could be Essential (gawk).
EVERYTHING = (
    "systemd-sysv", "udev", "dbus", "apt", "postfix", "molly-guard", "man-db", "iputils-ping", "cron", "gawk", "ed",
    "openssh-server", "usr-is-merged",
)  # fmt: skip
SETS = {
    "server": SERVER,
    "web": ("apt", "apache2", "libapache2-mod-php", "install-info", "gawk", "logrotate", "ssl-cert", "mailutils"),
    "desktop": (
        "apt", "fontconfig", "fonts-dejavu-core", "shared-mime-info", "desktop-file-utils", "libglib2.0-bin",
        "hicolor-icon-theme", "librsvg2-common", "vim", "nano", "python3-requests", "dictionaries-common",
        "wamerican", "man-db", "dbus-x11",
    ),
    "network": (
        "apt", "ifupdown", "isc-dhcp-client", "molly-guard", "iputils-ping", "console-setup", "tzdata",
        "wireshark-common", "libpam-pwquality", "fuse3", "at", "rsyslog", "polkitd", "nftables", "exim4-daemon-light",
    ),
    "services": (
        "apt", "systemd-sysv", "chrony", "memcached", "dnsmasq-base", "redis-server", "unattended-upgrades",
        "nullmailer", "dracut", "lvm2", "mdadm", "open-vm-tools", "bash-completion", "snmpd",
    ),
}  # fmt: skip
ALL = bool(os.environ.get("COMPOSE_TEST_LIKE_MMDEBSTRAP"))
CASES = {"everything": EVERYTHING, **SETS}
RELEASES = ("bookworm", "trixie")


@pytest.fixture(scope="module")
def place() -> Iterator[Workplace]:
    """The stage run by root."""
    made = Workplace(apt_sandbox.scratch_room(), None)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The repository of odd packages, while it is being served."""
    room = tmp_path_factory.mktemp("odd")
    made = Repository(room / "repository", Key(room / "key"))
    odd_packages.publish(made)
    with served(made.root) as url:
        made.url = url
        yield made


@dataclass(frozen=True)
class Both:
    """The trees of the same packages, and the stage's log."""

    ours: Path
    theirs: Path
    log: str


def make(place: Workplace, name: str, release: str, repository: Repository | None = None) -> Both:
    """Install a set, with the odd packages if their repository is given, in both ways, and compare the trees."""
    start = int(time.time()) - 1
    packages, repositories, more = list(CASES[name]), debian(release), []
    if repository:
        packages += odd_packages.ODD
        keys = {"keys": [repository.key.armoured]}
        repositories.append({"url": repository.url, "suites": ["test"], "components": ["main"], **keys})
        ring = place.room / "ring.asc"  # where apt's own user can read it
        ring.write_text(repository.key.armoured)
        line = f"deb [signed-by={ring}] {repository.url} test main"
        directory = '"$1/etc/apt/sources.list.d"'
        (place.room / "answers").write_text(odd_packages.lines_of_answers())
        more = [
            f"--setup-hook=mkdir -p {directory}; echo '{line}' > {directory}/odd.list",
            f'--essential-hook=chroot "$1" debconf-set-selections < {place.room}/answers',
            '--customize-hook=echo "RESET odd-asks/secret" | chroot "$1" debconf-communicate odd-asks',
        ]
    ours = place.directory(f"{name}-{release}")
    (ours / "etc").mkdir()
    (ours / "etc/hostname").write_text(f"{mmdebstrap.NAME}\n")
    answers = odd_packages.ANSWERS if repository else []
    result = place.run(ours, options(packages, repositories, answers=answers))
    assert result.status == 0, result.log
    apt_sandbox.sound(place, ours)
    theirs = mmdebstrap.install(place, f"{name}-{release}-mmdebstrap", release, packages, *more)
    assert comparing.unexplained(place, theirs, ours, start) == []
    return Both(ours, theirs, result.log)


@pytest.mark.parametrize("release", RELEASES)
def test_one_of_everything(place: Workplace, repository: Repository, release: str) -> None:
    both = make(place, "everything", release, repository)
    for name in odd_packages.ODD:
        assert (f"{name} is unpacked by dpkg" in both.log) == (name in odd_packages.BY_DPKG)
    # What was compared is there.
    tree = both.ours
    assert (tree / "etc/mailname").read_text() == f"{mmdebstrap.NAME}\n"
    main = (tree / "etc/postfix/main.cf").read_text()
    assert re.findall(r"(?m)^myhostname = (.*)$", main) == [mmdebstrap.NAME]
    assert f"{mmdebstrap.NAME}, localhost" in " ".join(re.findall(r"(?m)^mydestination = (.*)$", main))
    diverted = (tree / "var/lib/dpkg/diversions").read_text().split("\n")
    assert "molly-guard" in diverted
    assert "/usr/sbin/postdrop" in (tree / "var/lib/dpkg/statoverride").read_text()
    assert "postfix/mailname" in (tree / "var/cache/debconf/config.dat").read_text()
    assert (tree / "etc/alternatives/awk").readlink() == Path("/usr/bin/gawk")
    assert (tree / "etc/systemd/system/multi-user.target.wants/cron.service").is_symlink()
    assert "Package: libreadline8" in (tree / "var/lib/apt/extended_states").read_text()
    statted = (tree / "usr/share/odd/statted").stat()
    assert (f"{statted.st_mode:o}", statted.st_gid) == ("102755", 8)
    assert (tree / "var/lock").readlink() == Path("/run/lock")
    assert (tree / "usr/share/odd-answers").read_text() == "from the blueprint\ntrue\nhunter2\n"
    assert "hunter2" not in (tree / "var/cache/debconf/passwords.dat").read_text()
    assert nothing_of_the_sandbox(tree)


def nothing_of_the_sandbox(tree: Path) -> bool:
    """Whether no file of the tree has the name of the stage's sandbox."""
    found = ["grep", "--recursive", "--files-with-matches", "--devices=skip", "-e", SANDBOX_NAME, tree]
    return subprocess.run(found, stdout=subprocess.PIPE, check=False).stdout == b""


@pytest.mark.skipif(not ALL, reason="minutes: set COMPOSE_TEST_LIKE_MMDEBSTRAP")
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", SETS)
def test_demanding_sets(place: Workplace, name: str, release: str) -> None:
    both = make(place, name, release)
    assert nothing_of_the_sandbox(both.ours)
    for tree in (both.ours, both.theirs):
        shutil.rmtree(tree)
