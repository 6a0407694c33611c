"""What a prediction costs, and what the run was (settings, seed, versions, data, commit): two sections of tables."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from protocol.language import later, tr
from recipe.config import Config
from recipe.models.counting import cost
from recipe.report.evidence import Evidence
from recipe.report.network import first_network
from recipe.report.section import Grid, Section
from recipe.runs.description import fold_folders
from recipe.system.console import duration

ROOT = Path(__file__).resolve().parents[3]


def cost_section(evidence: Evidence) -> Section:
    """One table."""
    text = [
        tr(
            "FLOPs are counted as 2 x MACs (the multiplication and the addition each count); many "
            "papers print MACs under the name FLOPs. Times are those of this machine, in a process "
            "of its own, on a random JPEG of 500 x 375 pixels, decoding included."
        )
    ]
    rows = size_rows(evidence)
    try:
        rows += serving_rows(measure(evidence.folder))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        text.append(
            tr(
                "Load time, time per picture and memory are left out: {error} while measuring them.",
                error=type(error).__name__,
            )
        )
    return Section("cost", tr("What a prediction costs"), text, grids=[Grid("cost", ["", ""], rows, prose=True)])


def size_rows(evidence: Evidence) -> list[list[str]]:
    """Parameters, FLOPs and file sizes."""
    network = first_network(evidence)
    counted = cost(network.model, network.preprocessing.size)
    files = [folder / "model.safetensors" for folder in fold_folders(evidence.folder)]
    megabytes = [path.stat().st_size / 2**20 for path in files]
    size = network.preprocessing.size
    return [
        [tr("parameters of one network"), f"{counted.parameters:,}"],
        [tr("FLOPs of one picture at {size} px (2 x MACs)", size=size), f"{counted.flops / 1e9:.3f} G"],
        [tr("MACs of one picture at {size} px", size=size), f"{counted.macs / 1e9:.3f} G"],
        [
            tr("weight files"),
            tr("{megabytes:.1f} MB in {files} (2**20 bytes)", megabytes=sum(megabytes), files=len(files)),
        ],
    ]


def serving_rows(found: dict[str, Any]) -> list[list[str]]:
    """What the process of its own has measured."""
    ensemble = tr("{passes} passes: networks x views, {device}", passes=found["passes"], device=found["device"])
    memory = tr("not said by this system") if found["peak_mb"] is None else f"{found['peak_mb']:.0f} MB"
    return [
        [tr("load time: libraries"), f"{found['import_seconds']:.1f} s"],
        [tr("load time: networks"), f"{found['load_seconds']:.2f} s"],
        [
            tr("one picture, alone ({ensemble})", ensemble=ensemble),
            tr("{single_ms:.0f} ms", single_ms=found["single_ms"]),
        ],
        [tr("one picture of 16 ({ensemble})", ensemble=ensemble), tr("{batch_ms:.0f} ms", batch_ms=found["batch_ms"])],
        [tr("peak memory of predicting"), memory],
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
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(info["began"])) if "began" in info else tr("unknown")
    origin = [
        [tr("run folder"), str(evidence.folder)],
        [tr("began"), began],
        [tr("took"), duration(totals["seconds"])],
        [tr("commit"), info.get("commit") or tr("unknown (no git)")],
        [tr("data"), info.get("source", tr("unknown"))],
        [tr("data fingerprint"), info["fingerprint"]],
        [tr("seed"), evidence.config.seed],
        [tr("views chosen out of fold"), totals["views"]],
        [tr("machine"), info.get("machine", tr("unknown"))],
        *([package, number] for package, number in info.get("versions", {}).items()),
    ]
    grids = [Grid("origin", ["", ""], origin, prose=True), *_settings(evidence)]
    return Section("settings", tr("What the run was"), grids=grids)


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
    values = {name: tr("(empty)") if value == "" else value for name, value in evidence.config.model_dump().items()}
    chosen = [[name, value] for name, value in values.items() if name in own]
    left = [[name, value] for name, value in values.items() if name not in own]
    header = [later("setting"), later("value")]
    return [
        Grid("settings", header, chosen, tr("Settings that differ from their default"), 200, prose=True),
        Grid(
            "defaults",
            header,
            left,
            tr("{left} settings at their default", left=len(left)),
            200,
            prose=True,
            folded=True,
        ),
    ]
