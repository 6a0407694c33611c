"""The static checks: each module looks at one subject of a submission's source, and runs nothing of it."""
