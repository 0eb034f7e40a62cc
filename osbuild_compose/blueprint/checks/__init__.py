"""Checks of a blueprint's values beyond what its schema says."""
