"""The report of a run: one page that answers how good, where wrong, why and what next. `page.write_report` makes it.

Each NAME_section gets the evidence (evidence.py) and gives drawings, tiles and tables (section.py).
"""
