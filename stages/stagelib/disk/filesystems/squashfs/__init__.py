"""squashfs, a compressed read-only file system."""
