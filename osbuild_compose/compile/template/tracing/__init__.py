"""Tracing parts of the rendered pipeline back to template lines and blueprint keys."""
