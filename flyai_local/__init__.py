"""The competition platform on your own machine: runs, scores and ranks submissions without the platform."""
