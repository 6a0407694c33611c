"""The commands of ``python -m flyai_local``: one module per command, imported only when it is named.

A command module has a docstring (its description), ``EXIT_CODES`` (number to sentence, shown in its help),
``add_arguments(parser)`` and ``run(args) -> int``.
"""
