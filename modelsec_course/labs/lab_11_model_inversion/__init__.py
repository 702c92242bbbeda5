"""Lab 11: Model inversion."""
