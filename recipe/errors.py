"""The one base of errors whose message is written for a user: it names the value, what is accepted and the remedy."""

from __future__ import annotations

from protocol.errors import UserError

__all__ = ["CheckpointError", "DamagedError", "StuckPicture", "UnreadablePicture", "UserError"]


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that is absent, broken or cannot be written; the message says what to do."""


class UnreadablePicture(UserError, ValueError):  # noqa: N818  (says what it is)
    """A picture file that cannot be decoded: `name` (its path as given) and `reason` (a clause)."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"The picture {self.name} cannot be read: {self.reason}."


class StuckPicture(UserError, RuntimeError):  # noqa: N818  (says what it is)
    """A picture whose reading or preparation does not come to an end."""


class DamagedError(CheckpointError):
    """A file that is torn, altered or not ours; the message says which and why, and the caller what happens now."""
