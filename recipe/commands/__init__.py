"""The commands of `python -m recipe`: each module has `add_arguments(parser)` and `run(arguments) -> exit code`."""
