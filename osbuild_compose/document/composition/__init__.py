"""Merges several blueprint documents into one."""
