"""The experiment record: every run is a row of one table that lies beside the run folders.

    record.append(Path("data/output/model"))       # data/output/runs.jsonl and runs.csv gain a row
    record.read(Path("data/output/runs.jsonl"))

runs.jsonl is the record: one line per run, appended by a single write, never rewritten. runs.csv is made from it, for a spreadsheet.
No torch is imported here, so that `python -m recipe runs` answers at once.
"""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipe.atomic import write_bytes
from recipe.errors import CheckpointError, UserError

FILE = "runs.jsonl"
FACTS = ("run", "finished", "metric", "score", "mean", "std", "probe", "folds", "seconds", "commit", "fingerprint", "folder")
Row = dict[str, Any]  # FACTS, and "settings": all settings of the run by name


class RecordError(UserError, ValueError):
    """A record that is absent, or a wish that it cannot answer."""


def row_of(folder: Path) -> Row:
    """The row of a finished run, from its files.

    Raises:
        RecordError: the run is not finished.
    """
    try:
        info, totals = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("run.json", "metrics.json"))
    except FileNotFoundError as error:
        raise RecordError(f"{folder} holds no finished run ({Path(error.filename).name} is missing); train first: python main.py") from None
    began = time.strftime("%Y%m%d-%H%M%S", time.localtime(info.get("began", time.time())))
    facts = {
        "run": f"{began}-{info['fingerprint'][:4]}",
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "metric": totals["metric"],
        "score": totals["oof"],
        "mean": totals["mean"],
        "std": totals["std"],
        "probe": totals["probe_oof"],
        "folds": len(totals["folds"]),
        "seconds": round(totals["seconds"], 1),
        "commit": info.get("commit", ""),
        "fingerprint": info["fingerprint"],
        "folder": str(folder),
    }
    return facts | {"settings": info["config"]}


def append(folder: Path, records: Path | None = None) -> Row:
    """Adds a finished run to the record and writes runs.csv anew.

    Args:
        folder: the run folder.
        records: the folder of the record; by default the one that the run folder lies in.

    Raises:
        RecordError: the run is not finished, or the record cannot be written.
    """
    row = row_of(folder.absolute())
    path = (records or folder.absolute().parent) / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _append_line(path, json.dumps(row, ensure_ascii=False))
        write_bytes(path.with_suffix(".csv"), as_csv(read(path)).encode())
    except CheckpointError as error:
        raise RecordError(f"the run cannot be recorded in {path}: {error}") from error
    except OSError as error:
        raise RecordError(f"the run cannot be recorded in {path}: {error.strerror or error}.") from error
    return row


def _append_line(path: Path, line: str) -> None:
    """One write at the end of the file: lines of processes that finish together stand one below the other."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
    try:
        size = os.lseek(handle, 0, os.SEEK_END)
        torn = size > 0 and os.lseek(handle, size - 1, os.SEEK_SET) >= 0 and os.read(handle, 1) != b"\n"
        os.write(handle, (("\n" if torn else "") + line + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def read(path: Path) -> list[Row]:
    """All rows, in the order they were appended; a line that a killed process left unfinished is passed over.

    Raises:
        RecordError: there is no record.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise RecordError(f"there is no record {path}; it begins with the first finished run (python main.py).") from None
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return [row for row in rows if isinstance(row, dict) and "settings" in row]


def differing(rows: Sequence[Row]) -> list[str]:
    """Names of the settings that are not the same in all rows, in their order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row["settings"]))
    return [name for name in names if len({json.dumps(row["settings"].get(name)) for row in rows}) > 1]


def value(row: Row, name: str) -> Any:
    """A fact or a setting of a row; None where it has none."""
    return row.get(name) if name in FACTS else row["settings"].get(name)


def as_csv(rows: Sequence[Row], settings: Sequence[str] | None = None) -> str:
    """The table as CSV: the facts, then the settings that differ (or those named)."""
    columns = [*FACTS, *(differing(rows) if settings is None else settings)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([value(row, name) for name in columns] for row in rows)
    return stream.getvalue()
