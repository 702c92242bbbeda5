"""Lab 14: Private training, audited."""
