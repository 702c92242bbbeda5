"""Lab 02: Black-box evasion and transfer."""
