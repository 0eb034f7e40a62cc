"""What every menu of GRUB is made of."""

import re
from dataclasses import dataclass

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
        """GRUB's commands that use the port beside keyboard and screen."""
        return [self.command, "terminal_input console serial", "terminal_output console serial"]


def kernels_console(kernel_opts: str) -> Serial | None:
    """The kernel's first serial console, by its options; None when it has none."""
    console = CONSOLE.search(kernel_opts)
    return Serial(int(console[1]), int(console[2] or Serial.speed)) if console else None


def quoted(text: str) -> str:
    """The text as one word of GRUB's language."""
    return "'" + text.replace("'", "'\\''") + "'"
