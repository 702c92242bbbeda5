"""Lab 07: Diagnosis."""
