"""What templates see as `image`: the disk, the files to make of it, and what the system in it is told of it."""

import re
from collections.abc import Sequence
from typing import Any

from osbuild_compose.blueprint import formats
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.disk import layout, qemu_options, uuids, verity
from osbuild_compose.disk.model import Firmware
from osbuild_compose.distro.model import Architecture, Release

# Those of org.osbuild.qemu.
QEMU_FORMATS = (Format.RAW, Format.RAW_XZ, Format.QCOW2, Format.VDI, Format.VMDK, Format.VPC, Format.VHDX)


def filename(blueprint: Blueprint, image_format: Format) -> str:
    """What the file of this format is called."""
    return f"{blueprint.name}{image_format.extension}"


def _output(item: Output, blueprint: Blueprint, firmware: Sequence[Firmware]) -> dict[str, Any]:
    """A file to make, as the assembler takes it."""
    made = {"format": item.format, "filename": filename(blueprint, item.format), **item.options}
    if item.format is Format.OCI_ARCHIVE:
        made["architecture"] = blueprint.arch
    if item.format.is_live and blueprint.kernel.append:
        made["kernel_opts"] = blueprint.kernel.append
    if item.format is Format.ISO:
        made["label"] = re.sub(r"[^A-Za-z0-9_.-]", "_", blueprint.name)[:32]
    if item.format is Format.OVA:
        made["name"] = blueprint.name
        made["firmware"] = Firmware.BIOS if Firmware.BIOS in firmware else Firmware.UEFI
    return made


def of(blueprint: Blueprint, outputs: Sequence[Output], release: Release, architecture: Architecture) -> dict[str, Any]:
    """What templates see of the images of these outputs."""
    firmware = tuple(Firmware(name) for name in architecture.firmware)
    made = layout.resolve(blueprint.disk, blueprint.name, blueprint.arch, firmware)
    items = [_output(item, blueprint, made.firmware) for item in outputs]
    only = outputs[0].format if len(outputs) == 1 else None
    multiple = max((formats.MULTIPLES.get(item.format, 0) for item in outputs), default=0)
    qemu = qemu_options.options(made) if only in QEMU_FORMATS else None
    having = release.variables.get("disk_packages", {})
    root, root_path = made.holding("/")
    boot, boot_path = made.holding("/boot")
    return {
        "outputs": items,
        "format": outputs[0].format,
        "filename": items[0]["filename"],
        "is_live": any(item.format.is_live for item in outputs),
        "is_disk": any(item.format.is_disk for item in outputs),
        "disk": {**made.options, "size_multiple": multiple} if multiple and not blueprint.disk.size else made.options,
        "qemu": {**qemu, **items[0]} if qemu else None,
        "tar": {"filename": items[0]["filename"], "compression": only.traits.compression}
        if only and only.is_tar
        else None,
        "identity": uuids.uuid_for(blueprint.name, "image"),
        "file_systems": made.file_systems,
        "firmware": made.firmware,
        "bootloader": made.disk.bootloader,
        "packages": (*made.packages, *(name for feature in made.features for name in having.get(feature, ()))),
        "features": made.features,
        "veritytab": made.veritytab,
        "crypttab": made.crypttab,
        "uki": made.disk.uki,
        "root_volume": made.root_volume,
        "kernel_arguments": verity.arguments(made.sealed),
        "root_device": made.root_device,
        "root_fs_uuid": root.uuid,
        "root_fs_type": root.file_system,
        "root_subvolume": root_path.strip("/"),
        "boot_fs_uuid": boot.uuid if boot is not root else None,
        "boot_path": boot_path,
        "esp": made.esp,
        "kernels": made.kernels,
    }
