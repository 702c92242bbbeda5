"""Lab 01: White-box evasion."""
