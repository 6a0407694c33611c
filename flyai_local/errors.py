"""The one exception that a command turns into a sentence and exit code 1, without a stack trace."""

from __future__ import annotations


class UserError(ValueError):
    """A mistake that its user can put right: the message names the value, what is accepted and the remedy."""
