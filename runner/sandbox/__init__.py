"""Isolation: the runner's own namespaces, build roots, and the bubblewrap sandbox of each step."""
