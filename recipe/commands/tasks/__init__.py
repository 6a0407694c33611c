"""Commands of trainings that run elsewhere: one task (the far side), and the table of all tasks of a run."""
