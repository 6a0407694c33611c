"""A classifier at its start: `start.plan(config, classes)` builds backbone and head and finds their weights."""
