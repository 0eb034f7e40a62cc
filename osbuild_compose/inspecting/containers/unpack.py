"""Undoing compression."""

import os

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, ToolError, Tools


def decompress(area: Area, program: str, tools: Tools) -> Area:
    """The content in a file of its own, without blocks for its zeroes. Raises ToolError if it is damaged or cut off."""
    target = tools.new_file()
    size = 0
    with target.open("r+b") as file:

        def write(chunk: bytes) -> None:
            nonlocal size
            if chunk.count(0) != len(chunk):
                os.pwrite(file.fileno(), chunk, size)
            size += len(chunk)

        result = tools.run([program, "-dc", IMAGE], area.as_file(tools), sink=write)
        file.truncate(size)
    if result.status != 0:
        raise ToolError(f"it is damaged or cut off: {result.reason}")
    return Area.whole(target)
