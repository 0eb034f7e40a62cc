"""What was found out about one thing that builds or boots need or profit from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

# Commands that install packages, by the family of the system.
_INSTALL = {"deb": "apt install", "rpm": "dnf install"}


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


@dataclass(frozen=True)
class Examination:
    """What a machine has and lacks. system is its name, family that of its packages: "deb", "rpm" or "other"."""

    system: str
    family: str
    findings: tuple[Finding, ...]

    @property
    def builds_possible(self) -> bool:
        """Whether anything can be built here."""
        return all(finding.state is not State.BLOCKING for finding in self.findings)

    @property
    def install(self) -> str:
        """The command that installs all packages that are missing; "" if there are none, or they are not known."""
        packages = sorted({finding.package for finding in self.findings if finding.package})
        command = _INSTALL.get(self.family)
        return " ".join((command, *packages)) if command and packages else ""

    def fields(self) -> dict[str, Any]:
        """The examination as JSON values."""
        return {
            "builds_possible": self.builds_possible,
            "system": self.system,
            "install": self.install,
            "findings": [asdict(finding) for finding in self.findings],
        }


def missing(name: str, cost: str, packages: Mapping[str, str], family: str) -> Finding:
    """The finding for what is not installed; packages are its packages' names by family."""
    if family in packages:
        return Finding(name, State.LACKING, "not installed", cost, install(family, packages[family]), packages[family])
    each = [install(one, packages[one]) for one in _INSTALL]
    return Finding(name, State.LACKING, "not installed", cost, " or ".join(each))


def install(family: str, *packages: str) -> str:
    """The command that installs packages on a system of the family, "deb" or "rpm"."""
    return f"{_INSTALL[family]} {' '.join(packages)}"


def parse(text: str) -> Examination:
    """The examination that `python3 -m runner.machine` printed."""
    told = json.loads(text)
    findings = (Finding(**{**finding, "state": State(finding["state"])}) for finding in told["findings"])
    return Examination(told["system"], told["family"], tuple(findings))
