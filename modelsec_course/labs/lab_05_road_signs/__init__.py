"""Lab 05: Road signs."""
