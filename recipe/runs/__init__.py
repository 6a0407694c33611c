"""What a run leaves and how it is read back: the one place that knows the files of a run. Nothing here trains."""
