"""Rendering the templates of distributions with Jinja."""
