"""Values of options that several commands take."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from protocol.language import tr


def time_in(unit: str) -> Callable[[str], float]:
    """The type of an option that takes a time in `unit`, such as seconds.

    What it returns raises argparse.ArgumentTypeError for all that is not a finite number above 0.
    """

    def parsed(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(
                tr("{given!r} is not a time: give a number of {unit} above 0", given=text, unit=unit)
            )
        return value

    return parsed
