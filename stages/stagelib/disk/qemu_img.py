"""Turning a raw image into the formats of hypervisors, the same bytes every time."""

from stagelib.disk import compress, ids, tools

# qemu-img's name of each format of the assembler, and the options of a new image.
FORMATS = {
    "qcow2": ("qcow2", ""),
    "vdi": ("vdi", ""),
    # What ESXi's importers and OVA take: compressed, written in one go; a SCSI disk, as their machines have.
    "vmdk": ("vmdk", "subformat=streamOptimized,adapter_type=lsilogic"),
    # Azure takes only a fixed VHD, and only the exact size instead of one rounded to cylinders.
    "vpc": ("vpc", "subformat=fixed,force_size=on"),
    "vhdx": ("vhdx", ""),
}
COROUTINES = "16"  # the most qemu-img allows; reading runs ahead of writing


def convert(raw: str, image: str, kind: str, *, compression: str, disk_uuid: str, epoch: int) -> None:
    """Convert the file `raw` to the new file `image` of format `kind`, a key of FORMATS.

    compression is "none", "zlib" or "zstd" (qcow2 only). Identifiers that qemu-img draws at random are replaced by
    ones made from `disk_uuid`, time stamps by `epoch` (seconds since 1970).
    """
    name, create = FORMATS[kind]
    argv = ["qemu-img", "convert", "-f", "raw", "-O", name, "-m", COROUTINES]
    # No -W: writes out of order would lay out clusters as chance has it.
    options = [create] if create else []
    if compression != "none":
        argv.append("-c")
        options.append(f"compression_type={compression}")
    for option in options:
        argv += ["-o", option]
    tools.run([*argv, raw, image])
    ids.normalise(image, kind, disk_uuid=disk_uuid, epoch=epoch)


def compress_raw(raw: str, image: str) -> None:
    """Compress the file `raw` with xz -0 to the new file `image`; bytes do not depend on the number of processors."""
    tools.compress(["xz", "--stdout", "-0", *compress.xz_threads(), "--block-size=16MiB"], raw, image)
