"""Lab 06: Fraud."""
