"""The variable `image` of templates: the disk, the image files, and how the system finds its own parts."""

import re
from typing import Any

from osbuild_compose.blueprint.formats import Contents, Format, Output
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.disk import growth, image_options, mounts, qemu_options, swap_files, uuids
from osbuild_compose.disk.model import Firmware

# The formats of org.osbuild.qemu.
QEMU_FORMATS = (Format.RAW, Format.RAW_XZ, Format.QCOW2, Format.VDI, Format.VMDK, Format.VPC, Format.VHDX)

# What a container runs unless the blueprint says so, and how systemd is told to stop.
_INIT = {"cmd": ["/sbin/init"], "stop_signal": "SIGRTMIN+3"}
_SHELL = {"cmd": ["/bin/bash"]}


def _output(item: Output, request: BuildRequest) -> dict[str, Any]:
    """An image file, as an option of the assembler."""
    blueprint = request.blueprint
    made = {"format": item.format, "filename": request.filename(item.format), **item.options}
    if item.format is Format.OCI_ARCHIVE:
        made["architecture"] = blueprint.arch
        if item.contents is Contents.CONTAINER and not item.options.keys() & {"cmd", "entrypoint"}:
            made = {**(_INIT if request.has_init else _SHELL), **made}
    if item.format.is_live and blueprint.kernel.append:
        made["kernel_opts"] = blueprint.kernel.append
    if item.format is Format.ISO:
        made["label"] = re.sub(r"[^A-Za-z0-9_.-]", "_", blueprint.name)[:32]
    if item.format is Format.OVA:
        made["name"] = blueprint.name
        made["firmware"] = Firmware.BIOS if Firmware.BIOS in request.layout.firmware else Firmware.UEFI
    return made


def image_context(request: BuildRequest) -> dict[str, Any]:
    """The fields of `image` for the images of the request."""
    blueprint, outputs, layout = request.blueprint, request.outputs, request.layout
    items = [_output(item, request) for item in outputs]
    only = outputs[0].format if len(outputs) == 1 else None
    multiple = max((item.format.traits.size_multiple for item in outputs), default=0)
    qemu = qemu_options.options(layout) if only in QEMU_FORMATS else None
    packages = request.release.variables.get("disk_packages", {})
    disk = image_options.options(layout)
    root, root_path = layout.holding("/")
    boot, boot_path = layout.holding("/boot")
    return {
        "outputs": items,
        "format": outputs[0].format,
        "filename": items[0]["filename"],
        "is_container": request.is_container,
        "has_init": request.has_init,
        "is_live": any(item.format.is_live for item in outputs),
        "is_disk": any(item.format.is_disk for item in outputs),
        "disk": {**disk, "size_multiple": multiple} if multiple and layout.disk.size is None else disk,
        "qemu": {**qemu, **items[0]} if qemu else None,
        "tar": {"filename": items[0]["filename"], "compression": only.traits.compression}
        if only and only.is_tar
        else None,
        "identity": uuids.uuid_for(blueprint.name, "image"),
        "file_systems": tuple(mounts.fstab(layout)),
        "firmware": layout.firmware,
        "bootloader": layout.disk.bootloader,
        "packages": (*layout.packages, *(name for feature in layout.features for name in packages.get(feature, ()))),
        "features": layout.features,
        "swap_files": swap_files.files(layout),
        "growing": growth.growing(layout),
        "veritytab": mounts.veritytab(layout),
        "crypttab": mounts.crypttab(layout),
        "uki": layout.disk.uki,
        "root_volume": layout.root_volume,
        "kernel_arguments": mounts.kernel_arguments(layout),
        "root_device": layout.root_device,
        "root_fs_uuid": root.uuid,
        "root_fs_type": root.file_system,
        "root_subvolume": root_path.strip("/"),
        "boot_fs_uuid": boot.uuid if boot is not root else None,
        "boot_path": boot_path,
        "esp": layout.esp,
        "kernels": layout.kernels,
    }
