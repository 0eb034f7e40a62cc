"""The content-addressed store: layers, outputs, downloads, and scratch room for trees at work."""
