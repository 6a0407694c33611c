"""How passwords are kept: argon2id with 19 MiB, two passes, one lane (OWASP Password Storage Cheat Sheet).

Django's own parameters take 100 MiB for each password that is tried: eight at once would be most of a small machine.
"""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher

__all__ = ["Argon2"]


class Argon2(Argon2PasswordHasher):  # type: ignore[misc, unused-ignore]
    """Django's hasher with these parameters; an older hash is renewed at the next login."""

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1
