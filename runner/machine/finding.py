"""What was found out about one thing that builds need or profit from."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """OK: nothing is lacking. LACKING: something is slower or not possible. BLOCKING: nothing can be built."""

    OK = "ok"
    LACKING = "lacking"
    BLOCKING = "blocking"


@dataclass(frozen=True)
class Finding:
    """One thing: what it is, and what was found.

    detail is what there is, or what is wrong. cost says what is slower or not possible, and mend what to do about it, a
    command if there is one; both are empty if nothing is lacking. package is the one to install on this machine.
    """

    name: str
    state: State
    detail: str
    cost: str = ""
    mend: str = ""
    package: str = ""

    def fields(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return {
            "name": self.name,
            "state": self.state.value,
            "detail": self.detail,
            "cost": self.cost,
            "mend": self.mend,
            "package": self.package,
        }
