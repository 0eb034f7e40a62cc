"""What must hold of a blueprint's disk and formats beyond its schema, as far as it can be known before building.

Each check takes data right or wrong, and skips what the schema refuses.
"""
