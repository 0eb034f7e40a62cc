"""Each kind of file system and archive as a Tree."""
