"""Lab 09: Model extraction."""
