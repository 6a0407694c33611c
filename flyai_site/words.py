"""Secret words: tokens, invitations, team words. Shown once; the site keeps their SHA-256 only.

They are random and long, so a plain hash is enough: nobody can guess what to hash.
"""

from __future__ import annotations

import hashlib
import secrets

__all__ = ["hashed", "new_word"]


def new_word(kind: str) -> str:
    """A new word; its first letters say what it is for, so that a leaked one can be recognised."""
    return f"{kind}_{secrets.token_urlsafe(24)}"


def hashed(word: str) -> str:
    """What the site keeps of a word."""
    return hashlib.sha256(word.strip().encode()).hexdigest()
