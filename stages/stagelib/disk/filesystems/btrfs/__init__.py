"""btrfs, filled by mkfs.btrfs without mounting it, then made reproducible.

mkfs.btrfs makes random identifiers of the device, the chunk tree and subvolumes, sets its own times, omits the numbers
of devices, and leaves temporary trees behind. The final trees are read, corrected and written back here, until
mkfs.btrfs can do it.
Layout: https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html. Numbers are little-endian.
"""
