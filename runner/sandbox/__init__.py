"""Isolation: namespaces of the runner, overlay mounts, build roots, and the bubblewrap sandbox of each stage."""
