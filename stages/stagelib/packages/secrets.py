"""What must differ on every machine and is made while packages are installed: keys, identities, empty databases.

An image that had them would give all its copies the same, and no two builds would be the same bytes. So what an
installation made is removed at its end, and SECRETS says how the machine makes its own at its first boot. That is done
by the stage org.osbuild-compose.first-boot-secrets; docs/explanation/secrets.md has the reasons.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stagelib import removal, tree_paths

# A file here for each kind of database that has been made: one that is missing later may be on a volume that is not
# mounted, and is not made again. Keys are made whenever they are missing.
MADE = "/var/lib/compose-secrets"


@dataclass(frozen=True)
class Secret:
    """Something that each machine makes for itself.

    name: of the unit, after the prefix; what: for the unit's description; files: what is removed after installing,
    files or whole directories, wildcards allowed in each component; owner: the file by which the package that needs it
    is known; script: makes it, in sh, "" if its service does so itself; unless: it is made at boot if this path does
    not exist; before: the units that need it, sysinit.target for all services; placeholders: empty files that keep
    packages from making it while they are installed, which would take long.
    """

    name: str
    what: str
    files: tuple[str, ...]
    owner: str
    script: str = ""
    unless: str = ""
    before: tuple[str, ...] = ()
    placeholders: tuple[str, ...] = ()


SECRETS = (
    Secret(
        name="ssh",
        what="SSH host keys",
        files=("/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub"),
        owner="/usr/sbin/sshd",
        script="ssh-keygen -A",
        unless="/etc/ssh/ssh_host_ed25519_key",
        before=("ssh.service", "ssh.socket"),
        placeholders=tuple(f"/etc/ssh/ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519")),
    ),
    Secret(
        name="dropbear",
        what="Dropbear host keys",
        files=("/etc/dropbear/dropbear_*_host_key",),
        owner="/usr/sbin/dropbear",
        script="""\
for kind in rsa ecdsa ed25519; do
  key=/etc/dropbear/dropbear_${kind}_host_key
  test -e $key || dropbearkey -t $kind -f $key
done""",
        unless="/etc/dropbear/dropbear_ed25519_host_key",
        before=("dropbear.service",),
        # Its package would convert those of OpenSSH, and fail with placeholders.
        placeholders=("/etc/dropbear/dropbear_rsa_host_key",),
    ),
    Secret(
        name="ssl-cert",
        what="self-signed certificate (snakeoil)",
        files=("/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem"),
        owner="/usr/sbin/make-ssl-cert",
        script="DEBIAN_FRONTEND=noninteractive make-ssl-cert generate-default-snakeoil",
        unless="/etc/ssl/private/ssl-cert-snakeoil.key",
        before=("sysinit.target",),  # any service with TLS may be configured with it
    ),
    Secret(
        name="bind9",
        what="key for rndc",
        files=("/etc/bind/rndc.key",),
        owner="/usr/sbin/named",
        script="""\
rndc-confgen -a
chown bind:bind /etc/bind/rndc.key
chmod 640 /etc/bind/rndc.key""",
        unless="/etc/bind/rndc.key",
        before=("named.service",),
    ),
    Secret(
        name="munge",
        what="key for MUNGE",
        files=("/etc/munge/munge.key",),
        owner="/usr/sbin/munged",
        script="setpriv --reuid=munge --regid=munge --init-groups mungekey --create",
        unless="/etc/munge/munge.key",
        before=("munge.service",),
    ),
    Secret(
        name="open-iscsi",
        what="iSCSI initiator name",
        files=("/etc/iscsi/initiatorname.iscsi",),
        owner="/usr/sbin/iscsid",
        script="""\
umask 077
name=$(iscsi-iname -p iqn.1993-08.org.debian:01)
echo "InitiatorName=$name" > /etc/iscsi/initiatorname.iscsi""",
        unless="/etc/iscsi/initiatorname.iscsi",
        before=("iscsid.service", "open-iscsi.service"),
    ),
    Secret(
        name="postgresql",
        what="PostgreSQL clusters",
        files=("/var/lib/postgresql/*/*",),
        owner="/usr/bin/pg_createcluster",
        # The configuration in /etc/postgresql stays, and says which clusters there shall be. A cluster's directory gets
        # its name when it is complete, so that an interrupted first boot is made up for by the next.
        script=f"""\
for configuration in /etc/postgresql/*/*/postgresql.conf; do
  test -e "$configuration" || continue
  cluster=${{configuration#/etc/postgresql/}}
  cluster=${{cluster%/postgresql.conf}}
  data=/var/lib/postgresql/$cluster
  test ! -e "$data/PG_VERSION" || continue
  rm -rf "$data.new"
  setpriv --reuid=postgres --regid=postgres --init-groups \\
    "/usr/lib/postgresql/${{cluster%/*}}/bin/initdb" -D "$data.new" \\
    --auth-local=peer --auth-host=scram-sha-256 --no-instructions
  rm "$data.new/postgresql.conf" "$data.new/pg_hba.conf" "$data.new/pg_ident.conf"
  test ! -d "$data" || rmdir "$data"
  mv "$data.new" "$data"
done
install -D -m 644 /dev/null {MADE}/postgresql""",
        unless=f"{MADE}/postgresql",
        before=("postgresql@.service",),
    ),
    Secret(
        name="mariadb",
        what="MariaDB system tables",
        files=("/var/lib/mysql/[!d]*", "/var/lib/mysql/d[!e]*"),  # all but debian-VERSION.flag
        owner="/usr/sbin/mariadbd",
        script=f"""\
if ! test -d /var/lib/mysql/mysql; then
  new=/var/lib/mysql/.new
  rm -rf $new
  install -d -o mysql -g mysql -m 700 $new
  mariadb-install-db --rpm --cross-bootstrap --user=mysql --disable-log-bin --skip-test-db --datadir=$new
  find $new -mindepth 1 -maxdepth 1 ! -name mysql -exec mv -t /var/lib/mysql {{}} +
  mv $new/mysql /var/lib/mysql
  rmdir $new
fi
install -D -m 644 /dev/null {MADE}/mariadb""",
        unless=f"{MADE}/mariadb",
        before=("mariadb.service",),
    ),
    Secret(
        name="xrdp",
        what="RSA key for xrdp",
        files=("/etc/xrdp/rsakeys.ini",),
        owner="/usr/sbin/xrdp",
        script="""\
umask 077
xrdp-keygen xrdp auto
chown xrdp /etc/xrdp/rsakeys.ini""",
        unless="/etc/xrdp/rsakeys.ini",
        before=("xrdp.service",),
    ),
    Secret(
        name="varnish",
        what="key for Varnish's command line",
        files=("/etc/varnish/secret",),
        owner="/usr/sbin/varnishd",
        script="install -m 600 /proc/sys/kernel/random/uuid /etc/varnish/secret",
        unless="/etc/varnish/secret",
        before=("varnish.service",),
    ),
    Secret(
        name="phpmyadmin",
        what="key for phpMyAdmin's cookies",
        files=("/var/lib/phpmyadmin/blowfish_secret.inc.php",),
        owner="/usr/share/phpmyadmin/index.php",
        script="""\
file=/var/lib/phpmyadmin/blowfish_secret.inc.php
key=$(head -c 4096 /dev/urandom | tr -dc a-zA-Z0-9 | head -c 32)
install -m 640 -g www-data /dev/null $file.new
echo "<?php \\$cfg['blowfish_secret'] = '$key';" > $file.new
mv $file.new $file""",
        unless="/var/lib/phpmyadmin/blowfish_secret.inc.php",
        before=("sysinit.target",),  # a web server's or PHP's, whichever it is
    ),
    Secret(
        name="rkhunter",
        what="record of files for rkhunter",
        # It has the numbers of inodes, which are others on the machine's disk.
        files=("/var/lib/rkhunter/db/rkhunter.dat",),
        owner="/usr/bin/rkhunter",
        script="/usr/share/rkhunter/scripts/rkhupd.sh",
        unless="/var/lib/rkhunter/db/rkhunter.dat",
        before=("cron.service",),
    ),
    Secret(
        name="rabbitmq",
        what="cookie of Erlang for RabbitMQ",
        files=("/var/lib/rabbitmq/.erlang.cookie",),
        owner="/usr/sbin/rabbitmq-server",
    ),
)


def present(tree: str) -> frozenset[str]:
    """The paths in the tree of all secrets that it has."""
    return frozenset(
        path for secret in SECRETS for pattern in secret.files for path in tree_paths.matching(tree, pattern)
    )


@contextmanager
def removed_again(tree: str) -> Iterator[None]:
    """Remove the secrets that are made inside the block; those that the tree had before stay."""
    before = present(tree)
    yield
    for path in sorted(present(tree) - before):
        _remove(tree, path)


def _remove(tree: str, path: str) -> None:
    found = tree_paths.lookup(tree, path, follow_last=False)
    if found is not None and stat.S_ISDIR(found.st_mode):
        removal.remove_tree(tree_paths.resolve(tree, path, follow_last=False))
        return
    tree_paths.remove(tree, path)
    # Certificates have a second name beside them, after their digest.
    above, name = os.path.split(path)
    with tree_paths.opened(tree, above, tree_paths.DIRECTORY) as fd:
        for other in os.listdir(fd):
            if stat.S_ISLNK(os.lstat(other, dir_fd=fd).st_mode) and os.readlink(other, dir_fd=fd) == name:
                os.unlink(other, dir_fd=fd)
