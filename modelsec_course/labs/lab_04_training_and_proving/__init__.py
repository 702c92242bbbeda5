"""Lab 04: Training and proving robustness."""
