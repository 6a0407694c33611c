"""The parts of the page: each NAME_section gets the evidence and gives drawings, tiles and tables (section.py)."""
