"""How large a file system is at least, whatever is in it: what its maker refuses below."""

from collections.abc import Mapping

from osbuild_compose.blueprint.size import MIB

OF_FILE_SYSTEMS: Mapping[str, int] = {"xfs": 300 * MIB, "btrfs": 256 * MIB}
