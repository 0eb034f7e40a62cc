"""Fetches the files and container images that a manifest names by digest."""
