"""Lab 03: Evaluating honestly."""
