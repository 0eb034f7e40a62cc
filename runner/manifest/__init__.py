"""Manifests: the model, the document formats, sources, and the ids and cache keys of steps."""
