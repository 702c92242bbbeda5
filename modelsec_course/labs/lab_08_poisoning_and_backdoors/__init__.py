"""Lab 08: Poisoning and backdoors."""
