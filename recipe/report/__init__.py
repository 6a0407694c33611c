"""The report of a run: one page that answers how good, where wrong, why and what next. `page.write_report` makes it.

Its parts lie in sections/; each gets the evidence (evidence.py) and gives drawings, tiles and tables (section.py).
"""
