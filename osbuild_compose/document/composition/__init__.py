"""Putting several blueprint documents together into one."""
