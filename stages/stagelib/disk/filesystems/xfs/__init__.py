"""XFS, filled from a directory without mounting it."""
