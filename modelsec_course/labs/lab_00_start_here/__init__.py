"""Lab 00: Start here: what are we protecting?."""
