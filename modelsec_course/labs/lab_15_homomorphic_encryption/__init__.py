"""Lab 15: Homomorphic encryption."""
