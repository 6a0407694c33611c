"""The one base of errors whose message is written for a user: it names the value, what is accepted and the remedy."""

from __future__ import annotations


class UserError(Exception):
    """Shown as a sentence, without a stack trace."""
