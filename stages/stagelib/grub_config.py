"""The texts of GRUB's configuration: menus, serial consoles, /etc/default/grub and the environment block."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagelib.errors import StageError

ENVIRONMENT_HEADER = "# GRUB Environment Block\n"
ENVIRONMENT_BYTES = 1024  # GRUB accepts exactly this size
TIMEOUT = 0  # seconds

# Automatic rollback: greenboot sets boot_counter, and boot_success=1 after a successful boot. `decrement` is a command
# of Fedora's GRUB.
GREENBOOT = """\
insmod increment
if [ -n "${boot_counter}" -a "${boot_success}" = "0" ]; then
  if [ "${boot_counter}" = "0" -o "${boot_counter}" = "-1" ]; then
    set default=1
    set boot_counter=-1
  else
    decrement boot_counter
  fi
  save_env boot_counter
fi
set boot_success=0
save_env boot_success
"""
# ignition.firstboot exists until the first boot has finished; it may set network options.
IGNITION = """\
set ignition_firstboot=""
if [ -f "{directory}/ignition.firstboot" ]; then
  set ignition_network_kcmdline=""
  source "{directory}/ignition.firstboot"
  set ignition_firstboot="ignition.firstboot ${{ignition_network_kcmdline}}"
fi
"""


@dataclass(frozen=True)
class FileSystemId:
    """Identifies a file system by `kind`, "UUID" or "LABEL", and its value."""

    kind: str
    value: str

    @property
    def kernel(self) -> str:
        """The kernel's root= option."""
        return f"root={self.kind}={self.value}"

    @property
    def search(self) -> str:
        """The arguments of GRUB's search command."""
        return f"{'--fs-uuid' if self.kind == 'UUID' else '--label'} {self.value}"


def configuration(grub_fs: FileSystemId, *, separate: bool, arguments: str, options: Mapping[str, Any]) -> str:
    """The text of grub.cfg.

    grub_fs: the file system with /boot; separate: whether that is not the root file system; arguments: the kernel's;
    options: the stage's.
    """
    config = options.get("config", {})
    directory = "" if separate else "/boot"
    lines = [
        "# Made by osbuild-compose. The kernels are in the boot loader's entries, not here.",
        f"set timeout={config.get('timeout', TIMEOUT)}",
        *([f"set timeout_style={config['timeout_style']}"] if "timeout_style" in config else []),
        "load_env",
        'if [ "${next_entry}" ]; then',  # grub2-reboot(8)
        '  set default="${next_entry}"',
        "  set next_entry=",
        "  save_env next_entry",
        "else",
        '  set default="${saved_entry}"',  # grub2-set-default(8)
        "fi",
        *(GREENBOOT.splitlines() if options.get("greenboot") else []),
        'if [ -z "${kernelopts}" ]; then',
        f'  set kernelopts="{arguments}"',
        "fi",
        f"search --no-floppy --set=root {grub_fs.search}",
        "set boot=${root}",
        *(IGNITION.format(directory=directory).splitlines() if options.get("ignition") else []),
        *([config["serial"]] if "serial" in config else []),
        *(f"{name} {' '.join(words)}" for name, words in terminals(config).items()),
        "function load_video {",
        "  insmod all_video",
        "}",
        # Fedora's GRUB searches both directories and takes no path; upstream's (2.14) has the command in another module
        # and searches /loader/entries only.
        'if [ -f "${prefix}/${grub_cpu}-${grub_platform}/blsuki.mod" ]; then',
        f"  blscfg --path {directory}/loader/entries",
        "else",
        "  blscfg",
        "fi",
    ]
    return "\n".join(lines) + "\n"


def terminals(config: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """GRUB's commands for input and output, with their arguments; `terminal` sets both."""
    both = config.get("terminal")
    given = {name: config.get(name, both) for name in ("terminal_input", "terminal_output")}
    return {name: words for name, words in given.items() if words}


def redirection(grub_fs: FileSystemId, directory: str) -> str:
    """The text of a grub.cfg on the EFI system partition that loads the one in `directory` of grub_fs."""
    return (
        f"search --no-floppy --set=dev {grub_fs.search}\n"
        f"set prefix=($dev){directory}\n"
        "export prefix\n"
        "configfile $prefix/grub.cfg\n"
    )


def defaults(arguments: str, options: Mapping[str, Any]) -> str:
    """The text of etc/default/grub, which grub2-mkconfig on the running system reads."""
    config = options.get("config", {})
    timeout = config.get("timeout", None if options.get("remove_unset") else TIMEOUT)
    values: dict[str, Any] = {
        "TIMEOUT": timeout,
        "TIMEOUT_STYLE": config.get("timeout_style"),
        "ENABLE_BLSCFG": "true",
        "CMDLINE_LINUX": f'"{" ".join(arguments.split()[1:])}"',
        "DEFAULT": config.get("default", "saved"),
        "DISTRIBUTOR": f'"{config["distributor"]}"' if "distributor" in config else None,
        "DISABLE_RECOVERY": _word(config.get("disable_recovery")),
        "DISABLE_SUBMENU": _word(config.get("disable_submenu")),
        **{
            name.upper(): f'"{" ".join(config[name])}"'
            for name in ("terminal", "terminal_input", "terminal_output")
            if name in config
        },
        "SERIAL_COMMAND": f'"{config["serial"]}"' if "serial" in config else None,
    }
    return "".join(f"GRUB_{name}={value}\n" for name, value in values.items() if value is not None)


def _word(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def environment(arguments: str | None, saved_entry: str | None) -> bytes:
    """The environment block, as grub2-editenv makes it. Raises StageError when it does not fit."""
    text = ENVIRONMENT_HEADER
    text += f"saved_entry={saved_entry}\n" if saved_entry else ""
    text += f"kernelopts={arguments}\n" if arguments is not None else ""
    if len(text.encode()) > ENVIRONMENT_BYTES:
        raise StageError(
            f"the kernel's options do not fit into GRUB's environment of {ENVIRONMENT_BYTES} bytes",
            "make kernel_opts shorter",
        )
    return text.encode().ljust(ENVIRONMENT_BYTES, b"#")


CONSOLE = re.compile(r"(?:^| )console=ttyS(\d)(?:,(\d+)\S*)?(?= |$)")


@dataclass(frozen=True)
class Serial:
    """A serial port: ttyS<unit> at `speed` bits a second."""

    unit: int = 0
    speed: int = 115200

    @property
    def command(self) -> str:
        """GRUB's command that opens the port."""
        return f"serial --unit={self.unit} --speed={self.speed}"

    @property
    def lines(self) -> list[str]:
        """GRUB's commands that use the port in addition to keyboard and screen."""
        return [self.command, "terminal_input console serial", "terminal_output console serial"]


def kernels_console(kernel_opts: str) -> Serial | None:
    """The kernel's first serial console in its options; None when there is none."""
    console = CONSOLE.search(kernel_opts)
    return Serial(int(console[1]), int(console[2] or Serial.speed)) if console else None


def quoted(text: str) -> str:
    """The text as one word of GRUB's language."""
    return "'" + text.replace("'", "'\\''") + "'"
