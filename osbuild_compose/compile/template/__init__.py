"""The Jinja environment that turns a distribution's template into text."""
