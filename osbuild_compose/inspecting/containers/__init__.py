"""Getting at what is inside an image: a disk, file systems, an archive."""
