"""EROFS, a read-only file system."""
