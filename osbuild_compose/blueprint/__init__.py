"""Reading blueprints: YAML in, a Blueprint or errors with places out."""
