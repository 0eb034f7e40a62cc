"""Ports of the firewall: "80:tcp", "6000-6010:udp", or a service by its name in /etc/services: "imap:tcp"."""

import re

# Names that IANA registered, and the aliases of /etc/services, with their numbers:
# https://www.iana.org/assignments/service-names-port-numbers
_SERVICES = {
    **{"ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "mail": 25, "time": 37, "whois": 43},
    **{"domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "gopher": 70, "finger": 79, "http": 80, "www": 80},
    **{"kerberos": 88, "kerberos5": 88, "pop3": 110, "pop-3": 110, "sunrpc": 111, "portmapper": 111, "auth": 113},
    **{"nntp": 119, "ntp": 123, "epmap": 135, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139, "imap": 143},
    **{
        "imap2": 143,
        "snmp": 161,
        "snmp-trap": 162,
        "snmptrap": 162,
        "bgp": 179,
        "irc": 194,
        "ldap": 389,
        "svrloc": 427,
    },
    **{
        "https": 443,
        "microsoft-ds": 445,
        "kpasswd": 464,
        "submissions": 465,
        "smtps": 465,
        "ssmtp": 465,
        "isakmp": 500,
    },
    **{"syslog": 514, "printer": 515, "rtsp": 554, "nntps": 563, "submission": 587, "ipp": 631, "ldaps": 636},
    **{"syslog-tls": 6514, "domain-s": 853, "rsync": 873, "ftps-data": 989, "ftps": 990, "imaps": 993, "pop3s": 995},
    **{"socks": 1080, "openvpn": 1194, "ms-sql-s": 1433, "ms-sql-m": 1434, "l2tp": 1701, "l2f": 1701, "pptp": 1723},
    **{"radius": 1812, "radius-acct": 1813, "mqtt": 1883, "nfs": 2049, "docker": 2375, "docker-s": 2376},
    **{"etcd-client": 2379, "etcd-server": 2380, "squid": 3128, "iscsi-target": 3260, "mysql": 3306, "rdp": 3389},
    **{"ms-wbt-server": 3389, "nut": 3493, "distcc": 3632, "svn": 3690, "subversion": 3690, "epmd": 4369},
    **{"ipsec-nat-t": 4500, "munin": 4949, "sip": 5060, "sip-tls": 5061, "xmpp-client": 5222, "xmpp-server": 5269},
    **{"mdns": 5353, "postgresql": 5432, "postgres": 5432, "amqps": 5671, "amqp": 5672, "rfb": 5900, "x11": 6000},
    **{"redis": 6379, "ircd": 6667, "ircs-u": 6697, "http-alt": 8080, "webcache": 8080, "https-alt": 8443},
    **{"secure-mqtt": 8883, "git": 9418, "zabbix-agent": 10050, "zabbix-trapper": 10051, "amanda": 10080},
}
# Names that mean another port with another protocol: /etc/services has rtelnet and shell at 514:tcp.
_PROTOCOLS = {"syslog": "udp"}
_PORT = re.compile(r"(?P<first>\d{1,9})(?:-(?P<last>\d{1,9}))?:[a-z]+", re.ASCII)
_MOST = 65535


def numbered(port: str) -> str:
    """The port with its number in place of a service's name: "imap:tcp" is "143:tcp".

    Raises ValueError for a name that is not known, and for what is not a port or an ascending range.
    """
    if match := _PORT.fullmatch(port):
        first, last = int(match["first"]), int(match["last"] or match["first"])
        if not 0 < first <= last <= _MOST:
            raise ValueError(f"{port} is not a port or an ascending range between 1 and {_MOST}")
        return port
    name, _, protocol = port.partition(":")
    if name not in _SERVICES or _PROTOCOLS.get(name, protocol) != protocol:
        raise ValueError(f"{port} is not a service that is known here")
    return f"{_SERVICES[name]}:{protocol}"
