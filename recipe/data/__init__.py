"""Rows with labels, and what can be wrong with them: `table.read`, `check.check`, `folds.make_folds`."""
