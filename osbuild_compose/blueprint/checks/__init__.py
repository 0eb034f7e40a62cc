"""Checks of a blueprint's values that its schema cannot express."""
