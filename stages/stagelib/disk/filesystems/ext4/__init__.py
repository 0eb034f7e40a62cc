"""ext4, filled from a directory without mounting it."""
