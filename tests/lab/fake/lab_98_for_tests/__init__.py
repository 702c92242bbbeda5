"""A small lab for the tests of the engine."""
