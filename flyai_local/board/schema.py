"""The tables of the records, and how those of an earlier version become those of now."""

from __future__ import annotations

import sqlite3

VERSION = 2
SCHEMA = """
CREATE TABLE IF NOT EXISTS competitions (id TEXT PRIMARY KEY, first_used REAL NOT NULL);
CREATE TABLE IF NOT EXISTS submissions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, competition TEXT NOT NULL REFERENCES competitions (id),
    name TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, UNIQUE (competition, name, sha256));
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, submission INTEGER NOT NULL REFERENCES submissions (id),
    command TEXT NOT NULL, state TEXT NOT NULL, code TEXT, detail TEXT NOT NULL DEFAULT '',
    has_turn INTEGER NOT NULL DEFAULT 0, pid INTEGER NOT NULL, process TEXT NOT NULL,
    queued REAL NOT NULL, ended REAL, seconds REAL, peak_mb REAL);
CREATE INDEX IF NOT EXISTS runs_open ON runs (ended) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS scores (
    run INTEGER PRIMARY KEY REFERENCES runs (id), total REAL NOT NULL, public REAL, private REAL,
    per_class TEXT NOT NULL, metric TEXT NOT NULL DEFAULT 'accuracy');
CREATE TABLE IF NOT EXISTS logs (
    run INTEGER NOT NULL REFERENCES runs (id), phase TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (run, phase));
"""


def bring_up_to_date(connection: sqlite3.Connection, version: int) -> None:
    """Tables of the present version, made or changed; those of a later version are left alone."""
    if version >= VERSION:
        return
    if version == 1:
        connection.execute("ALTER TABLE scores ADD COLUMN metric TEXT NOT NULL DEFAULT 'accuracy'")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
