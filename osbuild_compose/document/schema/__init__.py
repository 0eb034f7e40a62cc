"""Reading JSON schemas and explaining their errors."""
