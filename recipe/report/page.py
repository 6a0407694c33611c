"""The page itself: sections in order, written as one HTML file with PNG and CSV files beside it.

write_report(Path("data/output/model"))        # at the end of a run, or any time later
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from protocol.language import later, tr
from recipe.data.table import Table
from recipe.pictures.cache import Pictures
from recipe.report import advice
from recipe.report.evidence import Evidence, of_run
from recipe.report.section import Section, boxes, on_page
from recipe.report.sections import (
    attention,
    calibration,
    class_map,
    confusion,
    copies,
    cost,
    scores,
    thresholds,
    training,
)
from recipe.report.sections import pictures as pages
from recipe.report.sections.pictures import address, contact_sheet
from recipe.system.atomic import write_bytes
from recipe.system.console import Bar
from recipe.system.template import fill

SECTIONS: tuple[tuple[str, Callable[[Evidence], Section]], ...] = (
    (later("How good"), scores.scores_section),
    (later("How training went"), training.training_section),
    (later("Where wrong"), confusion.confusion_section),
    (later("Mistakes in pictures"), pages.mistakes_section),
    (later("Copies across folds"), copies.copies_section),
    (later("What the network looks at"), attention.attention_section),
    (later("Can the probabilities be believed"), calibration.calibration_section),
    (later("Over all thresholds"), thresholds.thresholds_section),
    (later("Class balance"), confusion.balance_section),
    (later("What the network is fed"), pages.fed_section),
    (later("How the network sees the classes"), class_map.map_section),
    (later("What a prediction costs"), cost.cost_section),
    (later("What the run was"), cost.settings_section),
)
HERE = Path(__file__).parent


def write_report(
    folder: Path, table: Table | None = None, pictures: Pictures | None = None, data: Path | None = None
) -> Path:
    """Writes report.html and model_card.md of a finished run, and RUN/report/ with a PNG or CSV of everything on it.

    Args:
        folder: the run folder (MODEL_PATH).
        table: as the run was trained on; without it the pictures are looked for where run.json says, or in `data`.
        pictures: of the table's rows, at the size that the network needs.
        data: the competition's folder or CSV, where it has moved.

    Returns:
        The path of report.html.

    Raises:
        RunError: the run is not finished.
        CheckpointError: the folder cannot be written.
    """
    evidence = of_run(folder, data, table, pictures)
    return write_page(evidence, folder / "report.html", folder / "report", folder / "model_card.md")


def write_page(evidence: Evidence, page: Path, beside: Path, card: Path | None = None) -> Path:
    """The page of any evidence; a section that fails is named on the page and does not take the others along."""
    sections = []
    with Bar(len(SECTIONS), later("part"), tr("report")) as bar:
        for title, make in SECTIONS:
            sections.append(_guarded(title, make, evidence))
            bar.advance()
    for section in sections:
        _write_beside(section, beside)
    write_bytes(page, fill(HERE / "report.html", **_view(evidence, sections, beside.name)).encode("utf-8"))
    if card is not None:
        write_bytes(card, fill(HERE / "model_card.md", **_view(evidence, sections, beside.name)).encode("utf-8"))
    return page


def _guarded(title: str, make: Callable[[Evidence], Section], evidence: Evidence) -> Section:
    try:
        return make(evidence)
    except Exception as error:  # one picture that cannot be drawn must not cost the page
        reason = (str(error).strip().splitlines() or [""])[0]
        return Section(
            f"failed_{make.__name__}",
            title,
            [tr("This part is left out: {error}: {reason}", error=type(error).__name__, reason=reason)],
        )


def _view(evidence: Evidence, sections: Sequence[Section], beside: str) -> dict[str, Any]:
    """What the templates name."""
    headline = scores.score(evidence, evidence.metric)
    low, high = scores.interval(evidence, evidence.metric)
    return {
        "evidence": evidence,
        "sections": sections,
        "section_of": {section.key: section for section in sections},
        "grid_of": {grid.name: grid for section in sections for grid in section.grids},
        "headline": headline,
        "low": low,
        "high": high,
        "next_steps": advice.next_steps(evidence),
        "address": address,
        "beside": beside,
        "changed": cost.changed(evidence),
        "number": scores.number,
        "on_page": on_page,
        "boxes": boxes(evidence.classes),
    }


def _write_beside(section: Section, folder: Path) -> None:
    for drawing in section.drawings:
        write_bytes(folder / f"{drawing.name}.png", drawing.png)
    for page in section.tiles:
        write_bytes(folder / f"{page.name}.png", contact_sheet(page))
    for grid in section.grids:
        stream = io.StringIO(newline="")
        csv.writer(stream, lineterminator="\n").writerows([grid.header, *grid.rows])
        write_bytes(folder / f"{grid.name}.csv", stream.getvalue().encode("utf-8-sig"))  # as Excel asks for it
