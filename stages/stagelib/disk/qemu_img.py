"""Converting a raw disk to the formats of hypervisors with qemu-img, the same bytes every time.

qemu-img writes random identifiers and time stamps into all of them but qcow2; they are replaced afterwards. Sources:
VMDK: VMware "Virtual Disk Format 1.1"; VDI: VirtualBox VDICore.h; VPC: Microsoft "Virtual Hard Disk Image Format
Specification"; VHDX: [MS-VHDX].
"""

import re
import struct
import uuid
from typing import BinaryIO

from stagelib.disk import compress, tools
from stagelib.disk.crc32c import crc32c
from stagelib.disk.sizes import KIB
from stagelib.errors import StageError

# qemu-img's name of each format of the assembler, and the options of a new image.
FORMATS = {
    "qcow2": ("qcow2", ""),
    "vdi": ("vdi", ""),
    # For ESXi's importers and OVA: compressed, written sequentially; a SCSI disk, as their machines have.
    "vmdk": ("vmdk", "subformat=streamOptimized,adapter_type=lsilogic"),
    # Azure accepts only a fixed VHD with the exact size, not one rounded to cylinders.
    "vpc": ("vpc", "subformat=fixed,force_size=on"),
    "vhdx": ("vhdx", ""),
}
COROUTINES = "16"  # the most qemu-img allows; reading runs ahead of writing


def convert(raw: str, image: str, kind: str, *, compression: str, disk_uuid: str, epoch: int) -> None:
    """Convert the file `raw` to the new file `image` of format `kind`, a key of FORMATS.

    compression is "none", "zlib" or "zstd" (qcow2 only). Random identifiers are replaced by ones
    derived from `disk_uuid`, time stamps by `epoch` (seconds since 1970).
    """
    name, create = FORMATS[kind]
    argv = ["qemu-img", "convert", "-f", "raw", "-O", name, "-m", COROUTINES]
    # No -W: out-of-order writes would place clusters randomly.
    options = [create] if create else []
    if compression != "none":
        argv.append("-c")
        options.append(f"compression_type={compression}")
    for option in options:
        argv += ["-o", option]
    tools.run([*argv, raw, image])
    make_reproducible(image, kind, disk_uuid=disk_uuid, epoch=epoch)


def compress_raw(raw: str, image: str) -> None:
    """Compress the file `raw` with xz -0 to the new file `image`; bytes do not depend on the number of processors."""
    tools.compress(["xz", "--stdout", "-0", *compress.xz_threads(), "--block-size=16MiB"], raw, image)


VPC_EPOCH = 946684800  # 2000-01-01, the zero of a VHD's clock
VPC_FOOTER = 512
VHDX_HEADERS = (64 * KIB, 128 * KIB)
VHDX_REGIONS = 192 * KIB
VHDX_HEADER_SIZE = 4 * KIB
VHDX_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
VHDX_PAGE83 = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746")


def make_reproducible(image: str, kind: str, *, disk_uuid: str, epoch: int) -> None:
    """Replace random values and times in `image` by values derived from disk_uuid and epoch (seconds since 1970).

    kind is qcow2, vdi, vmdk, vpc or vhdx; checksums are updated. Raises StageError when the image is of another kind.
    """
    with open(image, "r+b") as file:
        if kind == "vdi":
            _vdi(file, disk_uuid)
        elif kind == "vmdk":
            _vmdk(file, disk_uuid)
        elif kind == "vpc":
            _vpc(file, disk_uuid, epoch)
        elif kind == "vhdx":
            _vhdx(file, disk_uuid)


def _made(disk_uuid: str, role: str) -> uuid.UUID:
    return uuid.uuid5(uuid.UUID(disk_uuid), role)


def _read(file: BinaryIO, offset: int, size: int) -> bytearray:
    file.seek(offset)
    return bytearray(file.read(size))


def _write(file: BinaryIO, offset: int, data: bytes | bytearray) -> None:
    file.seek(offset)
    file.write(data)


def _expect(found: bool, kind: str) -> None:
    if not found:
        raise StageError(f"qemu-img made a {kind} image with an unknown layout")


def _vdi(file: BinaryIO, disk_uuid: str) -> None:
    _expect(_read(file, 0x40, 4) == b"\x7f\x10\xda\xbe", "vdi")
    _write(file, 0x188, _made(disk_uuid, "vdi image").bytes_le)
    _write(file, 0x198, _made(disk_uuid, "vdi snapshot").bytes_le)


def _vmdk(file: BinaryIO, disk_uuid: str) -> None:
    header = _read(file, 0, 512)
    _expect(header[:4] == b"KDMV", "vmdk")
    start, size = (value * 512 for value in struct.unpack_from("<2Q", header, 28))
    text = _read(file, start, size)
    cid = _made(disk_uuid, "vmdk").int & 0xFFFFFFFE  # ffffffff means "no parent"
    # qemu-img writes no leading zeroes.
    changed, count = re.subn(rb"(?m)^CID=[0-9a-f]{1,8}$", b"CID=%08x" % cid, bytes(text).rstrip(b"\0"))
    _expect(count == 1 and len(changed) <= size, "vmdk")
    _write(file, start, changed.ljust(size, b"\0"))


def _vpc(file: BinaryIO, disk_uuid: str, epoch: int) -> None:
    end = file.seek(0, 2) - VPC_FOOTER
    footer = _read(file, end, VPC_FOOTER)
    _expect(footer[:8] == b"conectix", "vpc")
    struct.pack_into(">I", footer, 24, max(0, epoch - VPC_EPOCH))
    footer[68:84] = _made(disk_uuid, "vpc").bytes
    struct.pack_into(">I", footer, 64, 0)
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
    _write(file, end, footer)


def _vhdx(file: BinaryIO, disk_uuid: str) -> None:
    headers = [_read(file, at, VHDX_HEADER_SIZE) for at in VHDX_HEADERS]
    _expect(all(header[:4] == b"head" for header in headers), "vhdx")
    # The header with the higher sequence number is the current one; qemu-img starts counting at a random number.
    current = max(range(2), key=lambda i: struct.unpack_from("<Q", headers[i], 8)[0])
    for i, header in enumerate(headers):
        struct.pack_into("<Q", header, 8, 2 if i == current else 1)
        header[16:32] = _made(disk_uuid, "vhdx file").bytes_le
        header[32:48] = _made(disk_uuid, "vhdx data").bytes_le
        _expect(not any(header[48:64]), "vhdx")  # a log identifier: the log would have to be replayed
        struct.pack_into("<I", header, 4, 0)
        struct.pack_into("<I", header, 4, crc32c(bytes(header)))
        _write(file, VHDX_HEADERS[i], header)
    # The rest of the log is unused, but has random identifiers.
    log_size, log_offset = struct.unpack_from("<IQ", headers[current], 68)
    _write(file, log_offset, bytes(log_size))
    metadata = _vhdx_region(file, VHDX_METADATA)
    count = struct.unpack_from("<H", _read(file, metadata + 10, 2))[0]
    for i in range(count):
        entry = bytes(_read(file, metadata + 32 + 32 * i, 32))
        if uuid.UUID(bytes_le=entry[:16]) == VHDX_PAGE83:
            _write(file, metadata + struct.unpack_from("<I", entry, 16)[0], _made(disk_uuid, "vhdx disk").bytes_le)


def _vhdx_region(file: BinaryIO, wanted: uuid.UUID) -> int:
    table = bytes(_read(file, VHDX_REGIONS, 64 * KIB))
    _expect(table[:4] == b"regi", "vhdx")
    for i in range(struct.unpack_from("<I", table, 8)[0]):
        at = 16 + 32 * i
        if uuid.UUID(bytes_le=table[at : at + 16]) == wanted:
            return int(struct.unpack_from("<Q", table, at + 16)[0])
    raise StageError("qemu-img made a vhdx image without metadata")
