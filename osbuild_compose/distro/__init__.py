"""Distributions: what their directories under templates/ say, and which mirror their packages come from."""
