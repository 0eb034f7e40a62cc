"""From one YAML blueprint to a bootable, reproducible disk image."""
