"""From a blueprint to a pipeline: pure functions, the same input gives the same bytes."""
