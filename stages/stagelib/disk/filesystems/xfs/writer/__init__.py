"""Fill an empty XFS from a tree without mounting it, the same bytes every time.

Needed until every supported build root and host has an mkfs.xfs that fills file systems from directories (6.17; Debian
13 has 6.13 and is supported until June 2030) and that copies ACLs and device nodes (7.2 does not yet); then this
package goes. make.py uses it only where mkfs.xfs cannot do it, or cannot be shown the tree in a fixed order.

mkfs.xfs makes an empty file system, and the files are written into it here. As all is written at once, nothing ever
needs to be moved or balanced: space is taken from the front, and trees are written from their leaves.

The layout is that of "XFS Algorithms & Data Structures", 3rd edition (xfs_filesystem_structure.pdf), by its project.
Numbers on disk are big-endian, checksums little-endian. A "block" has 4096 bytes.
"""
