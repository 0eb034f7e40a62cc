"""YAML files as data with places, checked against the published schemas. Shared by blueprints and distributions."""
