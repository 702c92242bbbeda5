"""Lab 13: Differential privacy."""
