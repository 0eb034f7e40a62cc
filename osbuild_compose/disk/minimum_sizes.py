"""How large file systems and logical volumes are at least, whatever is in them."""

from collections.abc import Mapping

from osbuild_compose.blueprint.values.size import MIB

# What their makers refuse below.
OF_FILE_SYSTEMS: Mapping[str, int] = {"xfs": 300 * MIB, "btrfs": 256 * MIB}
EXTENT = 4 * MIB  # of which a logical volume has a whole number; in front of the first is 1 MiB
