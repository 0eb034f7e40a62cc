"""Packages of our own that do what Debian's seldom do while they are unpacked."""

from tests.integration.apt_repository import Contents, Repository

PREINST = """#!/bin/sh
set -e
dpkg-divert --package odd-divert --add --rename --divert /usr/share/odd/shared.orig /usr/share/odd/shared
test -x /usr/bin/perl
"""
# The file is another package's, which needs this one before it is unpacked.
OVERRIDE = """#!/bin/sh
set -e
dpkg-statoverride --add root mail 2755 /usr/share/odd/statted
dpkg-statoverride --add daemon '#1234' 0700 /usr/share/odd/statted.d
dpkg-statoverride --add root mail 0600 /usr/share/odd/not-there
"""
LONG = "usr/share/odd/" + "d" * 90 + "/" + "f" * 120
POSTINST = '#!/bin/sh\nset -e\nif [ "$1" = triggered ]; then echo "$2" >> /usr/share/odd-heard; fi\n'
COMMANDS = """
ln usr/share/odd/shared usr/share/odd/hard
ln -s shared usr/share/odd/soft
mkdir -m 2775 usr/share/odd/group
chgrp staff usr/share/odd/group
touch usr/share/odd/group/member
chmod 4755 usr/share/odd/hard
"""
ASKS = """Template: odd-asks/words
Type: string
Description: words

Template: odd-asks/choice
Type: boolean
Default: false
Description: choice

Template: odd-asks/secret
Type: password
Description: secret
"""
ASKED = """#!/bin/sh
set -e
. /usr/share/debconf/confmodule
for name in words choice secret; do
  db_get "odd-asks/$name"
  echo "$RET" >> /usr/share/odd-answers
done
"""
CONFIG = """#!/bin/sh
. /usr/share/debconf/confmodule
for name in words choice secret; do db_input high "odd-asks/$name" || true; done
db_go || true
"""
# The types are those of the package's own questions, where the answer does not say it.
ANSWERS = [
    {"package": "odd-asks", "question": "odd-asks/words", "value": "from the blueprint"},
    {"package": "odd-asks", "question": "odd-asks/choice", "value": "true"},
    {"package": "odd-asks", "question": "odd-asks/secret", "value": "hunter2"},
]
TYPES = ("string", "boolean", "password")
ODD = {
    "odd-asks": Contents({"Depends": "debconf"}, {}, {"templates": ASKS, "config": CONFIG, "postinst": ASKED}),
    "odd-base": Contents(
        {"Depends": "odd-divert, odd-owner"},
        {"usr/share/odd/shared": "base\n", LONG: "long\n", "etc/odd/odd.conf": "a=1\n"},
        {"conffiles": "/etc/odd/odd.conf\n", "triggers": "interest-noawait /usr/share/odd/watched\n"}
        | {"postinst": POSTINST},
        COMMANDS,
    ),
    "odd-divert": Contents({"Pre-Depends": "odd-early"}, {"usr/share/odd/shared": "diverted\n"}, {"preinst": PREINST}),
    "odd-early": Contents(
        {}, {"usr/share/odd/early": "early\n"}, {"postinst": "#!/bin/sh\ntouch /usr/share/odd-early-done\n"}
    ),
    "odd-owner": Contents({}, {"usr/share/odd/owned": "x\n"}, {}, "chown 1234:1234 usr/share/odd/owned"),
    "odd-replaces": Contents({"Replaces": "odd-replaced"}, {"usr/share/odd/both": "new\n"}),
    "odd-replaced": Contents({}, {"usr/share/odd/both": "old\n", "usr/share/odd/watched/w": "w\n"}),
    "odd-nosums": Contents({}, {"usr/share/odd/nosums": "x\n", "usr/share/odd/watched/v": "v\n"}, md5sums=False),
    "odd-fifo": Contents({}, {"usr/share/odd/f/x": "x\n"}, {}, "mkfifo usr/share/odd/f/fifo"),
    "odd-same": Contents({"Multi-Arch": "same", "Architecture": "amd64"}, {"usr/share/odd/same": "s\n"}),
    "odd-zstd": Contents({}, {"usr/share/odd/zstd": "z\n"}, compression="zstd"),
    "odd-stat": Contents({}, {"usr/share/odd/stat": "s\n"}, {"preinst": OVERRIDE}),
    "odd-statted": Contents(
        {"Pre-Depends": "odd-stat"}, {"usr/share/odd/statted": "s\n", "usr/share/odd/statted.d/x": "x\n"}
    ),
}
BY_DPKG = ("odd-divert", "odd-owner", "odd-replaced", "odd-replaces", "odd-nosums", "odd-fifo", "odd-stat")


def lines_of_answers() -> str:
    """The answers as debconf-set-selections takes them."""
    answers = zip(ANSWERS, TYPES, strict=True)
    return "".join(f"{one['package']} {one['question']} {kind} {one['value']}\n" for one, kind in answers)


def publish(repository: Repository) -> None:
    """Add them to the repository, and publish it."""
    for name, contents in ODD.items():
        repository.add(name, contents)
    repository.publish()
