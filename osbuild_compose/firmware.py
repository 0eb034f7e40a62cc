"""Firmware for virtual machines: QEMU's own BIOS, or UEFI from the OVMF package."""

import shutil
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

SHARE = Path("/usr/share")
PACKAGES = {"deb": "ovmf", "rpm": "edk2-ovmf"}  # of UEFI's files, by families of packages


class Firmware(StrEnum):
    """Kinds of firmware. UEFI_SECURE has Microsoft's keys and starts only what they, or shim's, have signed."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_SECURE = "uefi-secure"


@dataclass(frozen=True)
class Flash:
    """The files of a UEFI below /usr/share: its code, and the variables that it starts with."""

    code: str
    variables: str


# Debian's and Fedora's names, the preferred ones first.
FLASHES = {
    Firmware.UEFI: (
        Flash("OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_VARS_4M.fd"),
        Flash("edk2/ovmf/OVMF_CODE_4M.qcow2", "edk2/ovmf/OVMF_VARS_4M.qcow2"),
        Flash("edk2/ovmf/OVMF_CODE.fd", "edk2/ovmf/OVMF_VARS.fd"),
    ),
    Firmware.UEFI_SECURE: (
        Flash("OVMF/OVMF_CODE_4M.ms.fd", "OVMF/OVMF_VARS_4M.ms.fd"),
        Flash("edk2/ovmf/OVMF_CODE_4M.secboot.qcow2", "edk2/ovmf/OVMF_VARS_4M.secboot.qcow2"),
        Flash("edk2/ovmf/OVMF_CODE.secboot.fd", "edk2/ovmf/OVMF_VARS.secboot.fd"),
    ),
}


def flash_of(firmware: Firmware, share: Path = SHARE) -> Flash:
    """The files of that UEFI. Raises FileNotFoundError, naming the package to install, if there are none."""
    for flash in FLASHES[firmware]:
        if (share / flash.code).exists() and (share / flash.variables).exists():
            return flash
    where = f"{PACKAGES['deb']} (Debian) or {PACKAGES['rpm']} (Fedora)"
    raise FileNotFoundError(f"no firmware for {firmware}: it is in the package {where}")


def arguments(firmware: Firmware, directory: Path, share: Path = SHARE) -> list[str]:
    """QEMU's arguments for the firmware; a copy of its variables, to be written to, goes into `directory`.

    Raises FileNotFoundError as flash_of does.
    """
    if firmware is Firmware.BIOS:
        return []
    flash = flash_of(firmware, share)
    variables = directory / Path(flash.variables).name
    shutil.copyfile(share / flash.variables, variables)
    kind = "qcow2" if variables.suffix == ".qcow2" else "raw"
    argv = []
    if firmware is Firmware.UEFI_SECURE:  # only code in system management mode may write the keys
        argv += ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
    argv += ["-drive", f"if=pflash,format={kind},unit=0,readonly=on,file={share / flash.code}"]
    return [*argv, "-drive", f"if=pflash,format={kind},unit=1,file={variables}"]
