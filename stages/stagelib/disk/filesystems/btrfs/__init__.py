"""btrfs filled by mkfs.btrfs without mounting it, then made the same every time.

mkfs.btrfs draws the identifiers of the device, the chunk tree and subvolumes at random, stamps its own times, forgets
numbers of devices and leaves trees behind that it wrote on the way. The final trees are read, mended and written back.
Layout: https://btrfs.readthedocs.io/en/latest/dev/On-disk-format.html. Numbers are little-endian.
"""
