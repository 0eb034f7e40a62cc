"""The packages of the small repository: each is there for something that can be told apart afterwards."""

import subprocess
from dataclasses import replace
from pathlib import Path

from tests.integration.rpm.repository import Package

SHELL = Path("/bin/sh").resolve()
# What a script finds around it, as files below /seen.
SEEN = r"""
export -p > /seen/environment
test -e /run/ostree-booted && echo yes > /seen/booted
read id < /etc/machine-id; echo "$id" > /seen/machine-id
read name < /proc/sys/kernel/hostname; echo "$name" > /seen/hostname
read line < /proc/cmdline; echo "$line" > /seen/cmdline
echo lost > /dev/null; test -c /dev/null && echo device > /seen/null
set -- /sys/*; echo "$*" > /seen/sys
set -- /proc/sys/net/ipv4/conf/*; echo "$*" > /seen/network
: > /run/left; : > /tmp/left; : > /var/tmp/left
echo cache > /var/cache/dnf/left; echo key > /etc/ssh/ssh_host_test_key; echo seed > /var/lib/systemd/random-seed
set -- /usr/share/trigger/*; echo "$*" > /seen/no-trigger-yet
"""
BASE = Package(
    "base",
    tags="Provides: /bin/sh",
    files={
        **dict.fromkeys(("/run", "/var/tmp", "/etc/ssh", "/etc/dnf", "/seen"), ("%dir %attr(0755, root, root)", "")),
        **dict.fromkeys(("/var/cache/dnf", "/var/lib/systemd", "/tmp"), ("%dir %attr(0755, root, root)", "")),
        # Fedora's `filesystem` owns these three as well, on which something is mounted meanwhile.
        "/dev": ("%dir %attr(0755, root, root)", ""),
        **dict.fromkeys(("/proc", "/sys"), ("%dir %attr(0555, root, root)", "")),
        "/etc/passwd": ("%config(noreplace) %attr(0644, root, root)", "root:x:0:0::/root:/bin/sh\n"),
        "/etc/group": ("%config(noreplace) %attr(0644, root, root)", "root:x:0:\n"),
        "/etc/nsswitch.conf": ("", "passwd: files\ngroup: files\n"),
    },
    copies={"/bin/sh": str(SHELL)},
    sections=(
        # A trigger of one package on the files of others, as those that run ldconfig.
        "%transfiletriggerin -- /usr/share/trigger\nwhile read path; do echo $path; done > /seen/triggered\n"
    ),
)
PACKAGES = (
    Package("probe", tags="Requires: base", sections=f"%post\n{SEEN}"),
    Package("trigger", tags="Requires: base", files={"/usr/share/trigger/one": ("", "1\n")}),
    Package(
        "owner",
        tags="Requires: base\nRequires(pre): base",
        files={"/srv/owned": ("%attr(2751, web, web) %caps(cap_net_raw=p)", "o\n")},
        sections="%pre\necho web:x:48:48::/:/bin/sh >> /etc/passwd; echo web:x:48: >> /etc/group\n",
    ),
    Package(
        "nodes",
        tags="Requires: owner",
        files={
            "/srv/chroot/dev/null": ("%attr(0666, root, root) %dev(c, 1, 3)", ""),
            "/srv/chroot/dev/sda": ("%attr(0640, web, web) %dev(b, 8, 1)", ""),
            "/srv/chroot/dev/later": ("%ghost %attr(0640, web, web) %dev(b, 8, 2)", ""),
            "/srv/chroot/empty": ("", ""),
        },
    ),
    Package("stray-owner", tags="Requires: base", files={"/srv/stray": ("%attr(0644, nobody-here, root)", "s\n")}),
    Package("bad-pre", tags="Requires: base\nRequires(pre): base", sections="%pre\nexit 3\n"),
    Package("bad-post", tags="Requires: base\nRequires(post): base", sections="%post\necho told >&2; exit 3\n"),
    Package("bad-posttrans", tags="Requires: base", sections="%posttrans\nexit 3\n"),
    Package("bad-trigger", tags="Requires: base", sections="%transfiletriggerin -- /usr/share/trigger\nexit 3\n"),
    Package("bad-preun", tags="Requires: base", sections="%preun\nexit 3\n"),
    Package("docs", files={"/usr/share/doc/docs/README": ("%doc", "read me\n")}),
    Package("weak", tags="Recommends: docs"),
    Package("needy", tags="Requires: what-nobody-has"),
    Package("rival", tags="Conflicts: docs"),
    Package("keys", files={"/etc/pki/rpm-gpg/RPM-GPG-KEY-test": ("%attr(0644, root, root)", "KEY")}),
    Package("release-30", tags="Provides: system-release(releasever) = 30"),
    Package("release-43", tags="Provides: system-release(releasever) = 43"),
    Package("outside", tags="Requires: base", sections="%post\n: > /seen/../../../../../../escaped\n"),
)
UNSIGNED = Package("unsigned", tags="Requires: base")
NEWER = Package("docs", files={"/usr/share/doc/docs/README": ("%doc", "read me again\n")}, version="2")


def base() -> Package:
    """BASE with what this machine's shell needs to start."""
    words = subprocess.check_output(["ldd", SHELL], text=True).split()
    libraries = {path: str(Path(path).resolve()) for path in words if path.startswith("/")}
    return replace(BASE, copies={**BASE.copies, **libraries})
