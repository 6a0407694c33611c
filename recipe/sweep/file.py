"""The file of a sweep, every key checked, and what it asks for: rows (settings) and tasks (a row under one seed).

name: weight-decay
data: data/input/birds100
settings: {epochs: 10, image_size: 224}      # for all rows
space: {weight_decay: [0, 1.0e-5, 1.0e-3]}
seeds: [0, 1, 2]
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge
from pydantic import Field, field_validator, model_validator

from protocol.language import tr
from protocol.nearest import nearest
from protocol.plain_files import Unreadable, read_yaml
from protocol.strict import ConfigError, Strict, checked
from recipe.app import Columns
from recipe.config import Config

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


Scalar = bool | int | float | str


class Range(Strict):
    """An interval to draw from; whole numbers where both ends are whole."""

    low: int | float = Field(description="lowest value")
    high: int | float = Field(description="highest value")
    log: bool = Field(False, description="even over the logarithm")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(
                f"low {self.low} and high {self.high} are no interval{' on a logarithmic scale' if self.log else ''}"
            )
        return self

    @property
    def whole(self) -> bool:
        """Whether integers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Prune(Strict):
    """When a row is stopped early: its best score so far is below the median of the finished rows of the same seed."""

    after_epochs: Annotated[int, Ge(0)] = Field(1, description="epochs of a row before it may be stopped")
    after_rows: Annotated[int, Ge(1)] = Field(4, description="finished rows of a seed before any is stopped")


class EqualTime(Strict):
    """Rows get as many epochs as fit into the same seconds, by a timing of their own speed."""

    row: str = Field("", description="the row whose epochs, timed likewise, give the seconds")
    seconds: Annotated[float, Ge(0)] = Field(
        0.0, description="or the seconds themselves, for all folds of a row together"
    )

    @model_validator(mode="after")
    def _one(self) -> EqualTime:
        if bool(self.row) == bool(self.seconds):
            raise ValueError("at_equal_time needs either row or seconds")
        return self


class SweepFile(Strict):
    """A sweep as its file describes it."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")] = Field(description="folder of the results")
    data: str = Field(description="a folder or CSV with the pictures, as main.py finds it under data/input/ID")
    columns: Columns = Field(default=Columns(), description="columns of train.csv")
    metric: str = Field("accuracy", description="score by which rows are compared")
    settings: dict[str, Any] = Field(default_factory=dict, description="settings of every row")
    search: Literal["grid", "random", "tpe"] = Field("grid", description="how the space is gone through")
    space: dict[str, list[Scalar] | Range] = Field(
        default_factory=dict, description="setting to values, or to an interval"
    )
    rows: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="named rows with their settings, instead of a space"
    )
    trials: Annotated[int, Ge(1)] = Field(20, description="rows that random and tpe draw")
    search_seed: Annotated[int, Ge(0)] = Field(0, description="seed of what random and tpe draw")
    seeds: Annotated[list[Annotated[int, Ge(0)]], Field(min_length=1)] = Field(
        [0], description="each row is run once per seed"
    )
    baseline: str = Field("", description="the row that the others are compared with; empty takes the first")
    prune: Prune | None = Field(None, description="stop hopeless rows early")
    at_equal_time: EqualTime | None = Field(None, description="give every row the same time instead of the same epochs")
    workers: Annotated[int, Ge(1)] = Field(1, description="rows at the same time, each in a process of its own")
    keep: Literal["scores", "weights"] = Field(
        "scores", description="what stays of a finished row besides its predictions"
    )

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is there twice; a run would only repeat itself")
        return seeds

    @model_validator(mode="after")
    def _consistent(self) -> SweepFile:
        for refused, sentence in self._refusals():
            if refused:
                raise ValueError(sentence)
        return self

    def _refusals(self) -> list[tuple[bool, str]]:
        ranges = [key for key, values in self.space.items() if isinstance(values, Range)]
        tried = {*self.settings, *self.space, *(key for row in self.rows.values() for key in row)}
        return [
            (bool(self.space) == bool(self.rows), "a sweep needs either space or rows"),
            (
                bool(ranges) and self.search == "grid",
                f"space: {', '.join(ranges)} is an interval, which a grid "
                "cannot list; "
                "write the values, or search: random or tpe",
            ),
            (
                bool(self.rows) and self.search != "grid",
                f"search: {self.search} draws from a space, but rows are given",
            ),
            (any(values == [] for values in self.space.values()), "space: a setting has no values"),
            ("seed" in tried, "seed is not set as a setting; list the seeds under seeds"),
            (
                bool(self.at_equal_time) and self.search == "tpe",
                "at_equal_time times rows before the sweep; tpe does not know them yet",
            ),
            (
                bool(self.at_equal_time) and "epochs" in {*self.space, *(k for row in self.rows.values() for k in row)},
                "at_equal_time chooses the epochs of each row; take epochs out of space and rows",
            ),
            (
                bool(self.at_equal_time and self.at_equal_time.row)
                and bool(self.rows)
                and self.at_equal_time.row not in self.rows,  # type: ignore[union-attr]
                "at_equal_time: there is no such "
                f"row.{nearest(self.at_equal_time.row, self.rows) if self.at_equal_time else ''}",
            ),
            (
                bool(self.baseline) and bool(self.rows) and self.baseline not in self.rows,
                f"baseline: there is no row {self.baseline!r}.{nearest(self.baseline, self.rows)}",
            ),
        ]


def read_sweep(path: Path, changes: dict[str, Any] | None = None, settings: dict[str, Any] | None = None) -> SweepFile:
    """The sweep of a file, checked whole, with top-level keys and settings that the command line changes.

    `extends: OTHER.yaml` takes over the keys of another file beside it; keys written here replace those of the other
    file, and so does each of the settings.

    Raises:
        ConfigError: the file is missing, not YAML, or holds an unknown key or setting or a refused value.
    """
    content = _content(path) | {key: value for key, value in (changes or {}).items() if value is not None}
    content["settings"] = {**(content.get("settings") or {}), **(settings or {})}
    sweep: SweepFile = checked(SweepFile, content, path.name)
    _check_names(sweep, path.name)
    return sweep


def _content(path: Path, depth: int = 0) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except OSError as error:
        raise ConfigError(
            tr(
                "{path} cannot be read: {strerror}; examples/sweeps/ holds files to begin from.",
                path=path,
                strerror=error.strerror,
            )
        ) from None
    except Unreadable as error:
        raise ConfigError(tr("{name} cannot be read: {error}.", name=path.name, error=error)) from None
    if not isinstance(content, dict):
        raise ConfigError(tr("{name} holds no sweep; it needs name, data, and space or rows.", name=path.name))
    if depth > 5:
        raise ConfigError(tr("{name}: files extend each other in a circle; drop one 'extends'.", name=path.name))
    other = content.pop("extends", None)
    if other is None:
        return content
    base = _content(path.parent / str(other), depth + 1)
    return base | content | {"settings": {**(base.get("settings") or {}), **(content.get("settings") or {})}}


def _check_names(sweep: SweepFile, where: str) -> None:
    """Names of settings; their values are checked row by row."""
    for section in (sweep.settings, sweep.space, *sweep.rows.values()):
        for key in section:
            if key not in Config.model_fields:
                raise ConfigError(
                    tr(
                        "{where}: unknown setting {key!r}.{nearest}",
                        where=where,
                        key=key,
                        nearest=nearest(key, Config.model_fields),
                    )
                )
