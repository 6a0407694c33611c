"""The experiment record: every finished run is a row of one table beside the run folders; here it is appended, read,
filtered, sorted and compared.

    record.append(Path("data/output/model"))       # data/output/runs.jsonl and runs.csv gain a row
    record.read(Path("data/output/runs.jsonl"))

runs.jsonl is the record: one line per run, appended by a single write, never rewritten. runs.csv is made from it, for a
spreadsheet. No torch is imported here, so that `python -m recipe runs` answers at once.
"""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import operator
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from protocol.errors import UserError
from protocol.language import tr
from protocol.nearest import nearest
from recipe import plugins
from recipe.proposal import proposed
from recipe.system.atomic import CheckpointError, write_bytes

FILE = "runs.jsonl"
FACTS = (
    "run",
    "finished",
    "competition",
    "metric",
    "score",
    "mean",
    "std",
    "probe",
    "folds",
    "seconds",
    "commit",
    "fingerprint",
    "folder",
)
RunRow = dict[str, Any]  # FACTS, and "settings": all settings of the run by name


class RecordError(UserError, ValueError):
    """A record that is absent, or a wish that it cannot answer."""


def row_of(folder: Path) -> RunRow:
    """The row of a finished run, from its files.

    Raises:
        RunError: the run is not finished.
    """
    from recipe.runs.folder import read_about, read_scores  # not above: a list of runs needs neither numpy nor OpenCV

    info, totals = read_about(folder), read_scores(folder)
    began = time.strftime("%Y%m%d-%H%M%S", time.localtime(info.get("began", time.time())))
    facts = {
        "run": f"{began}-{info['fingerprint'][:4]}",
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
        "competition": (info.get("competition") or {}).get("id", ""),
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


def append(folder: Path, records: Path | None = None) -> RunRow:
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
        raise RecordError(tr("the run cannot be recorded in {path}: {error}", path=path, error=error)) from error
    except OSError as error:
        raise RecordError(
            tr("the run cannot be recorded in {path}: {error}.", path=path, error=error.strerror or error)
        ) from error
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


def read(path: Path) -> list[RunRow]:
    """All rows, in the order they were appended; a line that a killed process left unfinished is passed over.

    Raises:
        RecordError: there is no record.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise RecordError(
            tr("there is no record {path}; it begins with the first finished run (python main.py).", path=path)
        ) from None
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return [row for row in rows if isinstance(row, dict) and "settings" in row]


def differing(rows: Sequence[RunRow]) -> list[str]:
    """Names of the settings that are not the same in all rows, in their order of appearance."""
    names = list(dict.fromkeys(name for row in rows for name in row["settings"]))
    return [name for name in names if len({json.dumps(row["settings"].get(name)) for row in rows}) > 1]


def value(row: RunRow, name: str) -> Any:
    """A fact or a setting of a row; None where it has none."""
    return row.get(name) if name in FACTS else row["settings"].get(name)


def as_csv(rows: Sequence[RunRow], settings: Sequence[str] | None = None) -> str:
    """The table as CSV: the facts, then the settings that differ (or those named)."""
    columns = [*FACTS, *(differing(rows) if settings is None else settings)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([value(row, name) for name in columns] for row in rows)
    return stream.getvalue()


RANKED = ("score", "mean", "probe")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "!=": operator.ne, "=": operator.eq,
}  # fmt: skip
CONDITION = re.compile(r"\s*([A-Za-z_][\w]*)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*")


def check_name(rows: Sequence[RunRow], name: str) -> str:
    """The name of a fact or a setting.

    Raises:
        RecordError: no row has it; names the nearest.
    """
    known = [*FACTS, *dict.fromkeys(key for row in rows for key in row["settings"])]
    if name not in known:
        raise RecordError(
            tr(
                "the record has no column {name!r}.{nearest} Known: {known}.",
                name=name,
                nearest=nearest(name, known),
                known=", ".join(known),
            )
        )
    return name


def filtered(rows: Sequence[RunRow], conditions: Sequence[str]) -> list[RunRow]:
    """The rows that meet all conditions: `score>=0.9`, `backbone=tf_*`, `seed!=0`.

    Raises:
        RecordError: a condition that cannot be read, or names an unknown column.
    """
    kept = list(rows)
    for condition in conditions:
        match = CONDITION.fullmatch(condition)
        if match is None:
            raise RecordError(
                tr(
                    "the condition {condition!r} cannot be read; write NAME, one of {compare}, and a value: score>=0.9",
                    condition=condition,
                    compare=" ".join(COMPARE),
                )
            )
        name, sign, wanted = match.groups()
        check_name(rows, name)
        kept = [row for row in kept if _holds(value(row, name), sign, wanted)]
    return kept


def _holds(found: Any, sign: str, wanted: str) -> bool:
    if isinstance(found, int | float) and not isinstance(found, bool) and _is_number(wanted):
        return COMPARE[sign](float(found), float(wanted))
    if sign in ("=", "!="):
        return fnmatch.fnmatchcase(str(found).lower(), wanted.lower()) == (sign == "=")
    return found is not None and COMPARE[sign](str(found), wanted)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def ordered(rows: Sequence[RunRow], name: str, reverse: bool = False) -> list[RunRow]:
    """Rows by a column, best or largest first for numbers, A to Z for text; rows without a value last. By a score,
    each competition and metric by itself: scores of different ones do not rank against each other.

    Raises:
        RecordError: no row has the column.
    """
    check_name(rows, name)
    if name in RANKED and len(groups := contests(rows)) > 1:
        return [row for group in groups for row in ordered(group, name, reverse)]
    filled = [row for row in rows if value(row, name) is not None]
    numeric = all(isinstance(value(row, name), int | float) for row in filled)
    falling = numeric and not (name in RANKED and all(_falls(row) for row in filled))
    made = sorted(
        filled, key=lambda row: value(row, name) if numeric else str(value(row, name)), reverse=falling != reverse
    )
    return made + [row for row in rows if value(row, name) is None]


def contests(rows: Sequence[RunRow]) -> list[list[RunRow]]:
    """The rows by what they compete in: the same competition (where a row has none, the same data) and metric."""
    found: dict[tuple[str, str], list[RunRow]] = {}
    for row in rows:
        found.setdefault((row.get("competition") or row["fingerprint"], row["metric"]), []).append(row)
    return list(found.values())


def _falls(row: RunRow) -> bool:
    plugins.ask(str(row["settings"].get("plugins") or ""))
    try:
        return less_is_better(row["metric"])
    except plugins.PluginError:  # of a run whose file is gone: as a name that is not known
        return False


def less_is_better(metric: str) -> bool:
    """Whether the registered metric falls as runs get better; False for a name that this version does not know."""
    from recipe.components.metrics import METRICS  # needs numpy: only who sorts by a score waits for it

    return metric in METRICS and not METRICS[metric].higher_is_better


def chosen(rows: Sequence[RunRow], text: str) -> RunRow:
    """The one row that a number (-1 is the newest) or the beginning of a run's name means.

    Raises:
        RecordError: none or several are meant.
    """
    if re.fullmatch(r"-?\d{1,5}", text) and -len(rows) <= int(text) < len(rows):
        return rows[int(text)]
    found = [row for row in rows if row["run"].startswith(text)]
    if len({row["run"] for row in found}) != 1:
        how = tr("no run begins") if not found else tr("{found} runs begin", found=len(found))
        raise RecordError(
            tr(
                "{how} with {given!r}; give the name as `{proposed}` shows it, or a number such as -1 for the newest.",
                how=how,
                given=text,
                proposed=proposed("runs"),
            )
        )
    return found[-1]


def difference(first: RunRow, second: RunRow) -> list[tuple[str, Any, Any]]:
    """Facts and settings in which two rows differ."""
    names = [*FACTS, *dict.fromkeys([*first["settings"], *second["settings"]])]
    return [
        (name, value(first, name), value(second, name)) for name in names if value(first, name) != value(second, name)
    ]
