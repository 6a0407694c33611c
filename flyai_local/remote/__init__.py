"""Speaks with a contest's site from outside: HTTP with a token, for participants' commands and for workers."""
