"""Where data comes from, in the 1.x names."""
