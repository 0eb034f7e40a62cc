"""Generators of the pages of docs/reference that are made from schemas, metadata and the command line."""
