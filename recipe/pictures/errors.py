"""What can be wrong with a picture, as errors whose message is a sentence for a user."""

from __future__ import annotations

from protocol.errors import UserError
from protocol.language import tr


class UnreadablePicture(UserError, ValueError):  # noqa: N818  (says what it is)
    """A picture file that cannot be decoded: `name` (its path as given) and `reason` (a clause)."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return tr("The picture {name} cannot be read: {reason}.", name=self.name, reason=self.reason)


class StuckPicture(UserError, RuntimeError):  # noqa: N818  (says what it is)
    """A picture whose reading or preparation does not come to an end."""
