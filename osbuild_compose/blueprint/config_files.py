"""The parts of a blueprint that become configuration files."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Modprobe:
    """Kernel modules: not to load by themselves, parameters by module, and to load at boot."""

    blacklist: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    load: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedFile:
    """A file in a directory that its kind decides: a file of udev rules, an addition to a unit."""

    name: str
    content: str


@dataclass(frozen=True)
class Unit:
    """A systemd unit: content None is one that a package brings."""

    name: str
    content: str | None = None
    dropins: tuple[NamedFile, ...] = ()


@dataclass(frozen=True)
class Sshd:
    """The SSH server's options; None and () leave them to the distribution."""

    port: tuple[int, ...] = ()
    password_authentication: bool | None = None
    kbd_interactive_authentication: bool | None = None
    permit_root_login: bool | str | None = None
    client_alive_interval: int | None = None  # seconds
    client_alive_count_max: int | None = None
    max_auth_tries: int | None = None
    allow_users: tuple[str, ...] = ()
    allow_groups: tuple[str, ...] = ()
    x11_forwarding: bool | None = None
    allow_tcp_forwarding: bool | None = None


@dataclass(frozen=True)
class Timer:
    """A command that systemd runs at times; schedule is a calendar event of systemd.time(7)."""

    name: str
    schedule: str
    command: str
    user: str = "root"
    description: str | None = None
    persistent: bool = True


@dataclass(frozen=True)
class CronJob:
    """A command that cron runs at times; schedule is five fields of crontab(5), or @daily and the like."""

    name: str
    schedule: str
    command: str
    user: str = "root"


@dataclass(frozen=True)
class FirstBootScript:
    """A program to run once, when the machine boots for the first time."""

    name: str
    content: str
    after: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    wait_for_network: bool = False
    ignore_failure: bool = False


@dataclass(frozen=True)
class Initramfs:
    """What the initramfs has besides its own."""

    drivers: tuple[str, ...] = ()
    dracut_modules: tuple[str, ...] = ()
    compression: str | None = None


@dataclass(frozen=True)
class Container:
    """An image of a container: its name, and the archive that it is in or what a registry calls it ("host/name").

    sha256 is the digest of the archive, or of the registry's image, in hexadecimal digits.
    """

    name: str
    sha256: str
    url: str = ""
    image: str = ""
    tls_verify: bool = True
