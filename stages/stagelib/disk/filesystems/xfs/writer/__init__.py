"""XFS filled from a tree without mounting it, the same bytes every time.

mkfs.xfs makes an empty file system, and the files are written into it here: up to xfsprogs 6.16 mkfs.xfs fills a file
system only from a list ("protofile") that knows neither spaces in names nor hard links, extended attributes, holes or
times. As all is written at once into an empty file system, nothing ever needs to be moved or balanced: space is taken
from the front, and trees are written from their leaves.

The layout is that of "XFS Algorithms & Data Structures", 3rd edition (xfs_filesystem_structure.pdf), by its project.
Numbers on disk are big-endian, checksums little-endian. A "block" has 4096 bytes.
"""
