"""What facts about a machine mean for booting images, and the examination as a whole."""

from dataclasses import replace

import pytest

from osbuild_compose.doctor.booting import Facts, judge
from osbuild_compose.doctor.finding import Examination, Finding, State, parse
from osbuild_compose.firmware import Firmware

GOOD = Facts(
    qemu=(9, 2),
    machine="x86_64",
    device=True,
    usable=True,
    hardware=True,
    works=True,
    flashes={Firmware.UEFI: "/code", Firmware.UEFI_SECURE: "/secure"},
)


def lacking(facts: Facts, family: str = "deb") -> list[Finding]:
    return [finding for finding in judge(facts, family) if finding.state is not State.OK]


def test_a_good_machine_lacks_nothing() -> None:
    assert lacking(GOOD) == []
    assert len(judge(GOOD, "deb")) == 4


@pytest.mark.parametrize(
    ("changed", "detail", "mend"),
    [
        ({"machine": "aarch64"}, "emulated on aarch64", "on an x86_64 machine"),
        ({"device": False}, "there is no /dev/kvm", "modprobe kvm_intel"),
        ({"usable": False}, "may not use /dev/kvm", "usermod --append --groups kvm"),
        ({"hardware": False, "usable": False}, "not the processor's own", "nested"),
        ({}, "a guest does not run", "nested"),
    ],
)
def test_each_reason_why_kvm_does_not_work_has_its_remedy(changed: dict[str, object], detail: str, mend: str) -> None:
    (finding,) = lacking(replace(GOOD, works=False, **changed))
    assert finding.name == "KVM"
    assert detail in finding.detail
    assert finding.cost.startswith("slower: ")
    assert mend in finding.mend


def test_an_old_qemu_matters_where_it_emulates() -> None:
    assert lacking(replace(GOOD, qemu=(7, 2))) == []
    qemu, kvm = lacking(replace(GOOD, qemu=(7, 2), works=False))
    assert (qemu.detail, kvm.name) == ("7.2, older than 8.0", "KVM")


@pytest.mark.parametrize(
    ("family", "package", "mend"),
    [
        ("deb", "qemu-system-x86", "apt install qemu-system-x86"),
        ("rpm", "qemu-system-x86-core", "dnf install qemu-system-x86-core"),
        ("other", "", "apt install qemu-system-x86 or dnf install qemu-system-x86-core"),
    ],
)
def test_missing_qemu_has_its_package_and_says_nothing_of_kvm(family: str, package: str, mend: str) -> None:
    (finding,) = lacking(replace(GOOD, qemu=(0, 0), works=False), family)
    assert (finding.package, finding.mend) == (package, mend)


def test_missing_firmware() -> None:
    uefi, secure = lacking(replace(GOOD, flashes=dict.fromkeys(GOOD.flashes)))
    assert (uefi.name, uefi.cost) == ("UEFI", "`compose boot` starts images with BIOS only")
    assert secure.package == "ovmf"


def test_the_examination_knows_whether_builds_are_possible_and_what_to_install() -> None:
    ok = Finding("tar", State.OK, "1.34")
    xfs = Finding("mkfs.xfs", State.LACKING, "not installed", "no xfs", "apt install xfsprogs", "xfsprogs")
    bwrap = Finding("bwrap", State.BLOCKING, "not installed", "nothing", "apt install bubblewrap", "bubblewrap")
    assert Examination("Debian", "deb", (ok, xfs)).builds_possible
    examination = Examination("Debian", "deb", (ok, xfs, bwrap, xfs))
    assert not examination.builds_possible
    assert examination.install == "apt install bubblewrap xfsprogs"
    assert Examination("Debian", "deb", (ok,)).install == ""


def test_what_the_runner_prints_is_read() -> None:
    finding = '{"name": "tar", "state": "ok", "detail": "1.34", "cost": "", "mend": "", "package": ""}'
    told = f'{{"system": "Debian", "family": "deb", "builds_possible": true, "findings": [{finding}]}}'
    assert parse(told) == Examination("Debian", "deb", (Finding("tar", State.OK, "1.34"),))
