"""List the competitions that this machine knows: id, classes, pictures, metric and where they come from."""

from __future__ import annotations

import argparse
import json

from flyai_local.contest.competitions import Competition, competitions, training_classes
from flyai_local.contest.tables import read_table
from flyai_local.errors import UserError
from flyai_local.listing import aligned
from protocol.language import later, tr

EXIT_CODES = {0: later("the list was printed"), 2: later("wrong usage")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``competitions``."""
    parser.add_argument("--json", action="store_true", help=tr("print one JSON list"))


def run(args: argparse.Namespace) -> int:
    """Print the list and return the exit code."""
    rows = [_summary(card) for card in competitions()]
    if args.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    header = {
        "id": "id",
        "classes": tr("classes"),
        "train": tr("training"),
        "hidden": tr("hidden"),
        "metric": tr("metric"),
        "source": tr("source"),
    }
    print(aligned([list(header.values()), *([row[name] for name in header] for row in rows)]))
    return 0


def _summary(card: Competition) -> dict[str, object]:
    """One row of the list; counts are None where nothing can be counted (an embedded competition not yet made)."""
    source = tr("embedded") if card.embedded else str(card.images)
    summary: dict[str, object] = {"id": card.id, "classes": None, "train": None, "hidden": None, "metric": card.metric}
    try:
        rows = read_table(card.train, *card.columns)
        summary["hidden"] = len(read_table(card.hidden, *card.columns)) if card.hidden else 0
    except UserError:
        return {**summary, "source": source + (tr(" (made on first use)") if card.embedded else tr(" (table missing)"))}
    return {**summary, "classes": len(training_classes(card)), "train": len(rows), "source": source}
