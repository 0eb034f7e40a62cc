"""Popular packages of Debian: servers, databases, tools and daemons, in batches that can be installed together."""

BATCHES: dict[str, tuple[str, ...]] = {
    "web": (
        "apache2", "nginx", "lighttpd", "haproxy", "varnish", "squid", "tinyproxy", "privoxy", "php-fpm",
        "libapache2-mod-php", "tomcat10", "caddy", "hitch", "stunnel4", "ssl-cert", "certbot", "uwsgi",
        "nodejs", "ruby", "gunicorn", "phpmyadmin", "wordpress", "dokuwiki", "mediawiki", "adminer", "cgit",
    ),
    "net": (
        "bind9", "unbound", "dnsmasq", "pdns-server", "knot", "isc-dhcp-server", "kea-dhcp4-server", "radvd",
        "ntpsec", "openvpn", "wireguard-tools", "strongswan", "tinc", "tor", "i2pd", "avahi-daemon", "hostapd",
        "wpasupplicant", "network-manager", "iwd", "keepalived", "frr", "nftables", "firewalld", "ufw",
        "fail2ban", "conntrackd",
    ),
    "data": (
        "postgresql", "mariadb-server", "redis-server", "memcached", "sqlite3", "slapd", "influxdb",
        "etcd-server", "firebird3.0-server", "pgbouncer", "pgpool2", "mosquitto", "rabbitmq-server",
        "beanstalkd", "gearman-job-server", "zookeeperd", "kafkacat",
    ),
    "auth": (
        "sssd", "krb5-kdc", "krb5-admin-server", "freeradius", "samba", "winbind", "libnss-ldapd", "munge",
        "slurmctld", "slurmd", "slurmdbd", "realmd", "polkitd", "sudo", "openssh-server", "mosh", "auditd",
        "aide", "tripwire", "rkhunter", "apparmor", "libpam-google-authenticator", "gnupg",
    ),
    "watch": (
        "prometheus", "prometheus-node-exporter", "prometheus-alertmanager", "nagios4", "icinga2",
        "zabbix-agent", "zabbix-server-pgsql", "munin", "munin-node", "collectd", "netdata", "snmpd", "monit",
        "sysstat", "rsyslog", "logrotate", "logwatch", "smartmontools", "cockpit", "ganglia-monitor",
        "graphite-carbon", "nagios-nrpe-server", "atop", "vnstat", "chrony", "cacti",
    ),
    "talk": (
        "ejabberd", "prosody", "mumble-server", "coturn", "ngircd", "inspircd", "znc", "icecast2", "mpd",
        "minidlna", "transmission-daemon", "deluged", "xrdp", "tigervnc-standalone-server", "lightdm", "jetty9",
        "gitolite3", "proftpd-core", "uuid-runtime", "fontconfig", "libgtk-3-0", "dconf-cli",
        "desktop-file-utils", "shared-mime-info",
    ),
}  # fmt: skip

# What differs between two installations of them, and why it stays: docs/explanation/secrets.md has the same list.
DIFFERENT = {
    "/etc/ldap/slapd.d/*": "the directory has to be set up anyway, and its administrator's password is unknown",
    "/var/lib/ldap/*": "likewise",
    "/etc/firebird/3.0/SYSDBA.password": "the package's scripts alone can make it, and they start the server",
    "/var/lib/firebird/3.0/system/security3.fdb": "likewise",
    "/etc/ejabberd/ejabberd.pem": "a certificate that its users replace by one for their domain",
    "/etc/tripwire/*": "the keys are to be made with a password that somebody chooses",
    "/etc/freeradius/3.0/certs/dh": "parameters are public, and take minutes to make",
    "/etc/cacti/debian.php": "the password of a database that is not there yet",
    "/etc/phpmyadmin/config-db.php": "likewise",
    "/etc/dbconfig-common/*": "likewise",
    "/etc/aliases.db": "Berkeley DB writes the file's inode and random numbers into it",
    "/var/lib/ucf/*": "digests of the above",
}
