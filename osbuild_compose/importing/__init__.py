"""Converting blueprints of osbuild and image-builder (TOML or JSON) to ours."""
