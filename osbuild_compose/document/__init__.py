"""YAML documents whose values know their positions, checked against JSON schemas: blueprints and distro.yaml files."""
