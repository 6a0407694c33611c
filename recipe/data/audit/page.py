"""What an audit writes: one page with pictures in it, and three tables for a spreadsheet."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from protocol.language import later, tr
from recipe.data.audit.audit import Audit, findings_of
from recipe.data.audit.facts import describe
from recipe.system.atomic import write_bytes
from recipe.system.template import fill

TILE = 96  # pixels
SHEET_TILES = 1200  # over all class sheets, so that the page stays under 8 MB
MOST_SHOWN = 60  # groups of duplicates, and suspects; the CSVs hold all


def write_audit(found: Audit, folder: Path) -> Path:
    """Writes audit.html, pictures.csv, duplicates.csv and suspects.csv; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "pictures.csv", _PICTURE_COLUMNS, _picture_rows(found))
    _write_csv(
        folder / "duplicates.csv", ["kind", "similarity", "picture", "label", "other", "other_label"], _pair_rows(found)
    )
    _write_csv(folder / "suspects.csv", ["image_path", "line", "label", "suggested", "margin"], _suspect_rows(found))
    page = folder / "audit.html"
    write_bytes(page, render(found).encode("utf-8"))
    return page


def render(found: Audit) -> str:
    """The page: self-contained, light and dark, no script."""
    return fill(Path(__file__).with_name("audit.html"), **_view(found))


def _view(found: Audit) -> dict[str, Any]:
    """What the template names."""
    table, facts = found.table, found.facts[: found.hidden_start]
    readable = [fact for fact in facts if not fact.reason]
    kinds = Counter(pair.kind for pair in found.pairs)
    return {
        "table": table,
        "hidden": len(found.facts) - found.hidden_start,
        "formats": Counter(fact.format or "unknown" for fact in facts).most_common(),
        "modes": Counter(fact.mode for fact in facts if fact.mode).most_common(),
        "turned": sum(fact.orientation != 1 for fact in facts),
        "widths": describe([fact.width for fact in readable if fact.width]),
        "heights": describe([fact.height for fact in readable if fact.height]),
        "bytes": describe([fact.bytes for fact in readable]),
        "unreadable": [(found.facts[row].path, found.facts[row].reason) for row in found.unreadable],
        "findings": [*findings_of(found), *(finding for finding in table.findings if not finding.harmless)],
        "notes": [finding for finding in table.findings if finding.harmless],
        "kinds": {kind: kinds[kind] for kind in ("exact", "near", "mirrored")},
        "across_labels": len(found.across_labels),
        "across_sets": len(found.across_sets),
        "classes": _class_views(found),
        "small_classes": found.small_classes,
        "groups": _group_views(found),
        "suspects": _suspect_views(found),
        "suspect_count": len(found.suspects),
        "note": found.note,
        "plain": found.plain_accuracy,
        "aware": found.aware_accuracy,
        "probed": bool(np.isfinite(found.plain_accuracy)),
    }


def _class_views(found: Audit) -> list[dict[str, Any]]:
    table = found.table
    tiles = max(6, min(24, SHEET_TILES // max(1, len(table.classes))))
    views = []
    for label, (name, count) in enumerate(zip(table.classes, table.counts, strict=True)):
        rows = [row for row in np.flatnonzero(table.labels == label).tolist() if not found.facts[row].reason]
        chosen = (
            [rows[place] for place in np.linspace(0, len(rows) - 1, min(tiles, len(rows))).astype(int)] if rows else []
        )
        share = 100 * count / max(1, table.counts.max())
        views.append(
            {"name": name, "count": int(count), "share": share, "sheet": _sheet(found, chosen) if chosen else ""}
        )
    return views


def _group_views(found: Audit) -> list[list[dict[str, Any]]]:
    """Groups of duplicates, those with two labels and those across sets first."""
    paired = {row for pair in found.pairs for row in (pair.row, pair.other)}
    members: dict[int, list[int]] = {}
    for row in sorted(paired):
        members.setdefault(int(found.groups[row]), []).append(row)

    def urgency(rows: list[int]) -> tuple[bool, int]:
        return len({_label(found, row) for row in rows}) == 1, rows[0]

    return [
        [_tile(found, row, _label(found, row) if row < found.hidden_start else tr(SECOND)) for row in rows[:8]]
        for rows in sorted(members.values(), key=urgency)[:MOST_SHOWN]
    ]


def _suspect_views(found: Audit) -> list[dict[str, Any]]:
    classes = found.table.classes
    return [
        _tile(
            found,
            suspect.row,
            tr("{given}, or {suggested}?", given=classes[suspect.label], suggested=classes[suspect.suggested]),
        )
        for suspect in found.suspects[:MOST_SHOWN]
    ]


def _tile(found: Audit, row: int, caption: str) -> dict[str, Any]:
    return {
        "image": _sheet(found, [row]) if not found.facts[row].reason else "",
        "caption": caption,
        "name": _name(found, row),
    }


def _label(found: Audit, row: int) -> str:
    return found.table.classes[found.table.labels[row]] if row < found.hidden_start else SECOND


def _name(found: Audit, row: int) -> str:
    return found.table.names[row] if row < found.hidden_start else found.facts[row].path.name


def _sheet(found: Audit, rows: Sequence[int], across: int = 12) -> str:
    """Pictures side by side in one JPEG, as a data address."""
    tiles = [cv2.resize(found.pictures[row], (TILE, TILE), interpolation=cv2.INTER_AREA) for row in rows]
    across = min(across, len(tiles))
    tiles += [np.full((TILE, TILE, 3), 128, np.uint8)] * (-len(tiles) % across)
    sheet = np.vstack([np.hstack(tiles[start : start + across]) for start in range(0, len(tiles), across)])
    encoded = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return "data:image/jpeg;base64," + base64.b64encode(encoded.tobytes()).decode("ascii")


SECOND = later("second set")
_PICTURE_COLUMNS = [
    "image_path", "line", "label", "format", "mode", "width", "height", "orientation", "bytes", "group", "unreadable",
]  # fmt: skip


def _picture_rows(found: Audit) -> Iterable[list[Any]]:
    for row, fact in enumerate(found.facts):
        line = found.table.lines[row] if row < found.hidden_start else ""
        known = [fact.format, fact.mode, fact.width, fact.height, fact.orientation, fact.bytes]
        yield [_name(found, row), line, _label(found, row), *known, int(found.groups[row]), fact.reason]


def _pair_rows(found: Audit) -> Iterable[list[Any]]:
    for pair in found.pairs:
        ends = [text for row in (pair.row, pair.other) for text in (_name(found, row), _label(found, row))]
        yield [pair.kind, f"{pair.similarity:.4f}", *ends]


def _suspect_rows(found: Audit) -> Iterable[list[Any]]:
    table = found.table
    for suspect in found.suspects:
        names = [table.classes[suspect.label], table.classes[suspect.suggested]]
        yield [table.names[suspect.row], table.lines[suspect.row], *names, f"{suspect.margin:.4f}"]


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_bytes(path, stream.getvalue().encode("utf-8-sig"))  # as Excel asks for it
