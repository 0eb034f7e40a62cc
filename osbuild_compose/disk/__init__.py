"""The disk model: partitions, file systems and what assemblers take of them."""
