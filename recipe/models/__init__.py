"""A classifier at its start: `start.start(config, classes)` builds backbone and head and finds their weights."""
