"""Everything a setting can name: a function or class with a decorator; families.py lists the families."""
