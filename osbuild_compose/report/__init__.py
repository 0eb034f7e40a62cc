"""Output for people: errors, progress, tables."""
