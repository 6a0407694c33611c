"""What a participant hands in: what kind of project it is, its archive, and what must not travel."""
