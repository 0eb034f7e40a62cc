"""From a blueprint to a pipeline, and the command line. Knows nothing of mounts."""
