"""The disk model: partitions, file systems, and the options of assemblers."""
