"""Checking documents against JSON schemas, and explaining the errors."""
