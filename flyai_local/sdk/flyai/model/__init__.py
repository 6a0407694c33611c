"""Models in the 1.x names."""
