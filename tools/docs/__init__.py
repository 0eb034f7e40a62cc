"""Generators of docs/reference/ and of the schema for editors."""
