"""What a sweep's file asks for: rows (settings that are tried together) and tasks (a row under one seed)."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.strict import checked
from recipe.config import Config
from recipe.sweep.file import Range, SweepFile

MACHINE = {"device", "precision", "memory_format", "micro_batch", "workers", "cache_mb"}  # how, not what, is computed


@dataclass(frozen=True)
class Row:
    """A combination of settings that is tried."""

    name: str
    settings: dict[str, Any]  # those that differ from row to row


@dataclass(frozen=True)
class Task:
    """A row under a seed: config to result, whatever process it runs in."""

    row: Row
    seed: int
    config: Config

    @property
    def key(self) -> str:
        """12 hex digits of the SHA-256 of all the result depends on besides the data: equal tasks are run once."""
        settings = {
            key: value for key, value in self.config.model_dump(exclude_defaults=True).items() if key not in MACHINE
        }
        return hashlib.sha256(json.dumps({**settings, "seed": self.seed}, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.row.name}, seed {self.seed}"


def tasks_of(row: Row, sweep: SweepFile, epochs: int | None = None) -> list[Task]:
    """One task per seed; `epochs` replaces those of the settings, and no stage of a run is then longer than the run.

    Raises:
        ConfigError: the settings of the row cannot be used; the message names the row.
    """
    merged = {**sweep.settings, **row.settings}
    if epochs is not None:
        merged |= {"epochs": epochs} | {
            key: min(merged[key], epochs - 1) for key in ("mix_off_epochs", "freeze_epochs") if key in merged
        }
    config = checked(Config, merged, f"row {row.name}")
    return [Task(row, seed, config.model_copy(update={"seed": seed})) for seed in sweep.seeds]


def listed_rows(sweep: SweepFile) -> list[Row]:
    """The rows that are known beforehand: those named, the grid, or what random draws; for tpe none."""
    if sweep.rows:
        return [Row(name, dict(settings)) for name, settings in sweep.rows.items()]
    if sweep.search == "grid":
        combinations = itertools.product(*sweep.space.values())  # type: ignore[arg-type]
        return [named(dict(zip(sweep.space, values, strict=True))) for values in combinations]
    if sweep.search == "random":
        return random_rows(sweep)
    return []


def random_rows(sweep: SweepFile) -> list[Row]:
    """`trials` rows drawn independently; row n depends on (search_seed, n) alone, so that more trials extend fewer.

    Source: Bergstra, Bengio, "Random Search for Hyper-Parameter Optimization", 2012, section 1.
    """
    rows: dict[str, Row] = {}
    for number in range(100 * sweep.trials):
        generator = np.random.default_rng([sweep.search_seed, number])
        row = named({key: _draw(values, generator) for key, values in sweep.space.items()})
        rows.setdefault(row.name, row)
        if len(rows) == sweep.trials:
            break
    return list(rows.values())


def _draw(values: Any, generator: np.random.Generator) -> Any:
    if not isinstance(values, Range):
        return values[int(generator.integers(len(values)))]
    if values.whole and not values.log:
        return int(generator.integers(int(values.low), int(values.high) + 1))
    if values.log:
        drawn = math.exp(generator.uniform(math.log(values.low), math.log(values.high)))
    else:
        drawn = generator.uniform(values.low, values.high)
    return min(int(values.high), max(int(values.low), round(drawn))) if values.whole else float(f"{drawn:.4g}")


def named(settings: dict[str, Any]) -> Row:
    """A row that is called by its settings."""
    return Row(", ".join(f"{key}={value}" for key, value in settings.items()), settings)
