"""Kinds of values in blueprints: sizes, keys, passwords, schedules."""
