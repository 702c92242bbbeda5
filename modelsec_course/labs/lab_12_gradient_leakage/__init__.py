"""Lab 12: Gradient leakage in federated learning."""
