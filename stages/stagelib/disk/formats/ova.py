"""Virtual appliances: a disk and the description of a machine, for VMware, VirtualBox and others.

DMTF DSP0243 "Open Virtualization Format Specification" 1.1: the descriptor first, then the manifest with digests, then
the disk.
"""

import hashlib
import os
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from stagelib.disk.formats import bundle, disks
from stagelib.disk.formats.run import Run

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
LINUX_64 = "101"  # CIM_OperatingSystem.OSType
HARDWARE = "vmx-13"  # ESXi 6.5; every later one runs it
# CIM_ResourceAllocationSettingData.ResourceType
PROCESSOR, MEMORY, SCSI, ETHERNET, DISK = "3", "4", "6", "10", "17"


def make(run: Run, options: Mapping[str, Any], path: str) -> None:
    """Make the archive. Options: name (of the machine), cpus, memory (MiB), firmware (bios or uefi)."""
    name = options["name"]
    disk = disks.streamed(run, f"{name}.vmdk")
    if run.is_last_to_read(options):
        os.unlink(run.raw.path)  # makes room for the archive, which is as large as the vmdk
    descriptor = describe(
        name,
        f"{name}.vmdk",
        os.path.getsize(disk),
        run.raw.plan.size,
        cpus=options.get("cpus", 2),
        memory=options.get("memory", 2048),
        firmware=options.get("firmware", "bios"),
    )
    digests = {"ovf": hashlib.sha256(descriptor).hexdigest(), "vmdk": bundle.digest(disk)}
    manifest = "".join(f"SHA256({name}.{kind})= {digest}\n" for kind, digest in digests.items())
    files: dict[str, bundle.Content] = {
        f"{name}.ovf": descriptor,
        f"{name}.mf": manifest.encode(),
        f"{name}.vmdk": bundle.File(disk),
    }
    bundle.tar(path, files, run.epoch)


def describe(name: str, disk: str, file_size: int, capacity: int, *, cpus: int, memory: int, firmware: str) -> bytes:
    """The descriptor of a machine with one disk and one network card. Sizes in bytes, memory in MiB."""
    for prefix, space in (("ovf", OVF), ("rasd", RASD), ("vssd", VSSD)):
        ET.register_namespace(prefix, space)
    top = Element(f"{{{OVF}}}Envelope")
    _add(_add(top, "References"), "File", id="file1", href=disk, size=str(file_size))
    section = _add(top, "DiskSection")
    _add(section, "Info").text = "The disk"
    _add(section, "Disk", diskId="disk1", fileRef="file1", capacity=str(capacity), format=STREAM_OPTIMIZED)
    section = _add(top, "NetworkSection")
    _add(section, "Info").text = "The network"
    _add(_add(section, "Network", name="network"), "Description").text = "The network that the machine is connected to"
    system = _add(top, "VirtualSystem", id=name)
    _add(system, "Info").text = "A machine"
    _add(system, "Name").text = name
    section = _add(system, "OperatingSystemSection", id=LINUX_64)
    _add(section, "Info").text = "Linux, 64 bits"
    hardware = _add(system, "VirtualHardwareSection")
    _add(hardware, "Info").text = "What the machine needs"
    _values(
        _add(hardware, "System"),
        VSSD,
        {"ElementName": "Virtual Hardware Family", "InstanceID": "0", "VirtualSystemType": HARDWARE},
    )
    items = [
        {"ElementName": "processors", "InstanceID": "1", "ResourceType": PROCESSOR, "VirtualQuantity": str(cpus)},
        {
            "AllocationUnits": "byte * 2^20",
            "ElementName": "memory",
            "InstanceID": "2",
            "ResourceType": MEMORY,
            "VirtualQuantity": str(memory),
        },
        {
            "Address": "0",
            "ElementName": "disk controller",
            "InstanceID": "3",
            "ResourceSubType": "lsilogic",
            "ResourceType": SCSI,
        },
        {
            "AddressOnParent": "0",
            "ElementName": "disk",
            "HostResource": "ovf:/disk/disk1",
            "InstanceID": "4",
            "Parent": "3",
            "ResourceType": DISK,
        },
        {
            "AutomaticAllocation": "true",
            "Connection": "network",
            "ElementName": "network card",
            "InstanceID": "5",
            "ResourceSubType": "E1000",
            "ResourceType": ETHERNET,
        },
    ]
    for item in items:
        _values(_add(hardware, "Item"), RASD, item)
    if firmware == "uefi":
        # VMware's own addition, which others skip as `required` says.
        config = ET.SubElement(hardware, "{http://www.vmware.com/schema/ovf}Config")
        config.set(f"{{{OVF}}}required", "false")
        config.set("{http://www.vmware.com/schema/ovf}key", "firmware")
        config.set("{http://www.vmware.com/schema/ovf}value", "efi")
    ET.indent(top)
    text: bytes = ET.tostring(top, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _add(parent: Element, tag: str, **attributes: str) -> Element:
    return ET.SubElement(parent, f"{{{OVF}}}{tag}", {f"{{{OVF}}}{key}": value for key, value in attributes.items()})


def _values(parent: Element, space: str, values: Mapping[str, str]) -> None:
    for key, value in sorted(values.items()):  # the order that the schema of CIM wants
        ET.SubElement(parent, f"{{{space}}}{key}").text = value
