"""Competitions: their cards, tables, metrics, and the two that are built in."""
