"""What was run and how it ranks: the records of one user in SQLite, and the ranking made of them."""
