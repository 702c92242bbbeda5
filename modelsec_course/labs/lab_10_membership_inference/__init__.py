"""Lab 10: Membership and attribute inference."""
