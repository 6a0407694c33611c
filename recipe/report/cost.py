"""What a prediction costs, and what the run was (settings, seed, versions, data, commit): two sections of tables."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from recipe.config import Config
from recipe.console import duration
from recipe.models.counting import cost
from recipe.report.evidence import Evidence
from recipe.report.network import first_network
from recipe.report.section import Grid, Section
from recipe.runs.description import fold_folders

ROOT = Path(__file__).resolve().parent.parent.parent


def cost_section(evidence: Evidence) -> Section:
    """One table."""
    text = [
        "FLOPs are counted as 2 x MACs (the multiplication and the addition each count); many papers print MACs "
        "under the name FLOPs. "
        "Times are those of this machine, in a process of its own, "
        "on a random JPEG of 500 x 375 pixels, decoding included."
    ]
    rows = size_rows(evidence)
    try:
        rows += serving_rows(measure(evidence.folder))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        text.append(
            f"Load time, time per picture and memory are left out: {type(error).__name__} while measuring them."
        )
    return Section("cost", "What a prediction costs", text, grids=[Grid("cost", ["", ""], rows, prose=True)])


def size_rows(evidence: Evidence) -> list[list[str]]:
    """Parameters, FLOPs and file sizes."""
    network = first_network(evidence)
    counted = cost(network.model, network.preprocessing.size)
    files = [folder / "model.safetensors" for folder in fold_folders(evidence.folder)]
    megabytes = [path.stat().st_size / 2**20 for path in files]
    size = network.preprocessing.size
    return [
        ["parameters of one network", f"{counted.parameters:,}"],
        [f"FLOPs of one picture at {size} px (2 x MACs)", f"{counted.flops / 1e9:.3f} G"],
        [f"MACs of one picture at {size} px", f"{counted.macs / 1e9:.3f} G"],
        ["weight files", f"{sum(megabytes):.1f} MB in {len(files)} (2**20 bytes)"],
    ]


def serving_rows(found: dict[str, Any]) -> list[list[str]]:
    """What the process of its own has measured."""
    ensemble = f"{found['passes']} passes: networks x views, {found['device']}"
    memory = "not said by this system" if found["peak_mb"] is None else f"{found['peak_mb']:.0f} MB"
    return [
        ["load time: libraries", f"{found['import_seconds']:.1f} s"],
        ["load time: networks", f"{found['load_seconds']:.2f} s"],
        [f"one picture, alone ({ensemble})", f"{found['single_ms']:.0f} ms"],
        [f"one picture of 16 ({ensemble})", f"{found['batch_ms']:.0f} ms"],
        ["peak memory of predicting", memory],
    ]


def measure(folder: Path, runtime: str = "auto") -> dict[str, Any]:
    """What recipe/report/measure.py prints of a run that answers in a runtime."""
    command = [sys.executable, "-m", "recipe.report.measure", str(folder.absolute()), runtime]
    answer = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=True, timeout=300, cwd=ROOT
    )
    return json.loads(answer.stdout.splitlines()[-1])


def settings_section(evidence: Evidence) -> Section:
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
    grids = [Grid("origin", ["", ""], origin, prose=True), *_settings(evidence)]
    return Section("settings", "What the run was", grids=grids)


def changed(evidence: Evidence) -> dict[str, object]:
    """The settings that differ from their defaults."""
    return {
        name: value
        for name, value in evidence.config.model_dump().items()
        if value != Config.model_fields[name].default
    }


def _settings(evidence: Evidence) -> list[Grid]:
    """The settings that somebody chose, and at a click those that nobody did; an empty value is shown as such."""
    own = changed(evidence)
    values = {name: "(empty)" if value == "" else value for name, value in evidence.config.model_dump().items()}
    chosen = [[name, value] for name, value in values.items() if name in own]
    left = [[name, value] for name, value in values.items() if name not in own]
    header = ["setting", "value"]
    return [
        Grid("settings", header, chosen, "Settings that differ from their default", 200, prose=True),
        Grid("defaults", header, left, f"{len(left)} settings at their default", 200, prose=True, folded=True),
    ]
