"""What the run was: settings, seed, versions, data, commit; and what was left at its default."""

from __future__ import annotations

import time

from recipe.config import Config
from recipe.console import duration
from recipe.report.evidence import Evidence
from recipe.report.section import Grid, Section


def section(evidence: Evidence) -> Section:
    """Two tables: where the run comes from, and its settings."""
    info, totals = evidence.info, evidence.totals
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(info["began"])) if "began" in info else "unknown"
    origin = [
        ["run folder", str(evidence.folder)],
        ["began", began],
        ["took", duration(totals["seconds"])],
        ["commit", info.get("commit") or "unknown (no git)"],
        ["data", info.get("source", "unknown")],
        ["data fingerprint", info["fingerprint"]],
        ["seed", evidence.config.seed],
        ["views chosen out of fold", totals["views"]],
        ["machine", info.get("machine", "unknown")],
        *([package, number] for package, number in info.get("versions", {}).items()),
    ]
    return Section("settings", "What the run was", grids=[Grid("origin", ["", "value"], origin), _settings(evidence)])


def changed(evidence: Evidence) -> dict[str, object]:
    """The settings that differ from their defaults."""
    return {
        name: value
        for name, value in evidence.config.model_dump().items()
        if value != Config.model_fields[name].default
    }


def _settings(evidence: Evidence) -> Grid:
    own = changed(evidence)
    rows = [[name, value, "" if name in own else "default"] for name, value in evidence.config.model_dump().items()]
    rows.sort(key=lambda row: row[2])
    return Grid(
        "settings", ["setting", "value", ""], rows, "Settings; those that differ from the default first", shown=100
    )
