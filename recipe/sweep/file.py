"""The file of a sweep, every key checked. What it asks for, rows and tasks: rows.py.

name: weight-decay
data: data/input/birds100
settings: {epochs: 10, image_size: 224}      # for all rows
space: {weight_decay: [0, 1.0e-5, 1.0e-3]}
seeds: [0, 1, 2]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from pydantic import Field, field_validator, model_validator

from protocol.language import tr
from protocol.nearest import nearest
from protocol.plain_files import Unreadable, read_yaml
from protocol.strict import ConfigError, Strict, checked
from recipe.app import Columns
from recipe.config import Config

Scalar = bool | int | float | str


class Range(Strict):
    """An interval to draw from; whole numbers where both ends are whole."""

    low: int | float = Field(description="lowest value")
    high: int | float = Field(description="highest value")
    log: bool = Field(False, description="even over the logarithm")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            said = tr(
                "low {low} and high {high} are no interval; with log, low is above 0", low=self.low, high=self.high
            )
            raise ValueError(said)
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
            raise ValueError(tr("at_equal_time needs either row or seconds"))
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
            raise ValueError(tr("a seed is there twice; a run would only repeat itself"))
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
        named = {*self.space, *(key for row in self.rows.values() for key in row)}
        timed = self.at_equal_time.row if self.at_equal_time else ""
        return [
            (bool(self.space) == bool(self.rows), tr("a sweep needs either space or rows")),
            (
                bool(ranges) and self.search == "grid",
                tr(
                    "space: {ranges} is an interval, which a grid cannot list; write the values, or "
                    "search: random or tpe",
                    ranges=", ".join(ranges),
                ),
            ),
            (
                bool(self.rows) and self.search != "grid",
                tr("search: {search} draws from a space, but rows are given", search=self.search),
            ),
            (any(values == [] for values in self.space.values()), tr("space: a setting has no values")),
            ("seed" in tried, tr("seed is not set as a setting; list the seeds under seeds")),
            (
                bool(self.at_equal_time) and self.search == "tpe",
                tr("at_equal_time times rows before the sweep; tpe does not know them yet"),
            ),
            (
                bool(self.at_equal_time) and "epochs" in named,
                tr("at_equal_time chooses the epochs of each row; take epochs out of space and rows"),
            ),
            (
                bool(timed and self.rows) and timed not in self.rows,
                tr("at_equal_time: there is no row {row!r}.{nearest}", row=timed, nearest=nearest(timed, self.rows)),
            ),
            (
                bool(self.baseline and self.rows) and self.baseline not in self.rows,
                tr(
                    "baseline: there is no row {row!r}.{nearest}",
                    row=self.baseline,
                    nearest=nearest(self.baseline, self.rows),
                ),
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
