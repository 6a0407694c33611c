"""One training in several processes: who they are and what they tell each other (world.py), and their start."""
