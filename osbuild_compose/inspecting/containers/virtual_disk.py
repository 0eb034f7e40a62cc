"""Disks in the formats of virtual machines, by way of qemu-img."""

import json
from typing import Any

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, OUT, ToolError, Tools

MAX_SIZE = 64 * 1024**4  # bytes of a disk: a damaged image may say much more, and all of it would be looked at


def size(area: Area, image_format: str, tools: Tools) -> int:
    """The disk's size in bytes, as the machine sees it. Raises ToolError for a disk that is not all in this file."""
    about = _about(area, image_format, tools)
    base = about.get("backing-filename") or about.get("full-backing-filename")
    if base:
        raise ToolError(f"it has only what differs from {base}", "make one file of both: qemu-img convert -O qcow2")
    if about.get("encrypted"):
        raise ToolError("it is encrypted")
    made = int(about["virtual-size"])
    if made > MAX_SIZE:
        raise ToolError(f"it says that its disk has {made} bytes, and no machine has one of more than {MAX_SIZE}")
    return made


def as_raw(area: Area, image_format: str, tools: Tools) -> Area:
    """A raw disk with the same content, without blocks for its zeroes. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["qemu-img", "convert", "-f", image_format, "-O", "raw", "-S", "4k", IMAGE, f"{OUT}/disk"]
    result = tools.run(argv, area.as_file(tools), out)
    if result.status != 0:
        raise ToolError(f"it is damaged or cut off: {result.reason.removeprefix('qemu-img: ')}")
    return Area.whole(out / "disk")


def _about(area: Area, image_format: str, tools: Tools) -> dict[str, Any]:
    argv = ["qemu-img", "info", "-f", image_format, "--output=json", IMAGE]
    result = tools.run(argv, area.as_file(tools))
    if result.status != 0:
        raise ToolError(f"it is damaged or cut off: {result.reason.removeprefix('qemu-img: ')}")
    about: dict[str, Any] = json.loads(result.stdout)
    return about
