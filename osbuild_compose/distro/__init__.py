"""Distributions: the data in their distro.yaml, their package families, repositories, mirrors and keys."""
