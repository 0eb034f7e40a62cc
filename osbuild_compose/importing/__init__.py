"""Blueprints of osbuild and image-builder (TOML or JSON), said in our language."""
