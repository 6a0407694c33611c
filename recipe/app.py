"""app.yaml: the competition that is entered, and the settings of every profile.

Precedence, weakest first: the defaults of recipe/config.py, `recipe` in app.yaml, the chosen profile in app.yaml, the
command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from pydantic import Field, field_validator

from protocol.columns import IMAGE, LABEL
from protocol.language import tr
from protocol.nearest import nearest
from protocol.plain_files import Unreadable, read_yaml
from protocol.strict import ConfigError, Strict, checked
from recipe.config import Config


class Columns(Strict):
    """The columns of train.csv."""

    image: str = Field(IMAGE, description="column with the picture's path")
    label: str = Field(LABEL, description="column with the class")
    fold: str = Field("", description="column with the fold that validates the row; empty stratifies")
    group: str = Field("", description="column whose equal values must stay in one fold; empty for none")
    encoding: str = Field(
        "", description="of train.csv, such as cp1252; empty for UTF-8, or GBK where that reads as Chinese"
    )


class Competition(Strict):
    """What is being entered."""

    id: str = Field(description="data id on the platform, or the name of a local competition")
    columns: Columns = Field(default=Columns(), description="columns of train.csv")
    folds_csv: str = Field("", description="CSV with the pictures and a column `fold`, in place of folds of our own")
    metric: str = Field(
        "accuracy", description="score by which epochs are chosen, patience runs out, and runs are compared"
    )
    minutes: Annotated[float, Ge(0)] = Field(
        0.0, description="the platform's time limit: no run takes longer than that; 0 for none"
    )

    @field_validator("id", mode="before")
    @classmethod
    def _named(cls, value: Any) -> str:
        if value is None or not str(value).strip():
            raise ValueError(tr("is empty; name the competition's data id (for a trial: MushroomSketch)"))
        return str(value)


class App(Strict):
    """app.yaml as a whole."""

    competition: Competition
    recipe: dict[str, Any] = Field(default_factory=dict, description="settings for every profile")
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict, description="settings by profile")

    def config(self, profile: str, overrides: dict[str, Any]) -> Config:
        """The settings of a run under a profile, with what the command line sets.

        Raises:
            ConfigError: an unknown profile or setting, or a value out of range.
        """
        if profile not in self.profiles:
            raise ConfigError(
                tr(
                    "unknown profile {profile!r}.{nearest} app.yaml has: {profiles}.",
                    profile=profile,
                    nearest=nearest(profile, self.profiles),
                    profiles=", ".join(self.profiles) or tr("none"),
                )
            )
        for section, settings in (("recipe", self.recipe), (f"profiles.{profile}", self.profiles[profile])):
            checked(Config, settings, f"app.yaml, {section}")
        merged = {**self.recipe, **self.profiles[profile], **overrides}
        return checked(Config, merged, tr("settings"))


def read_app(path: Path | str) -> App:
    """app.yaml, checked whole: every profile must be valid, not only the one in use.

    Raises:
        ConfigError: the file is missing, not YAML, or holds an unknown key or a refused value.
    """
    path = Path(path)
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise ConfigError(tr("{path} does not exist; it names the competition and its settings.", path=path)) from None
    except (OSError, Unreadable) as error:
        raise ConfigError(
            tr("{name} cannot be read: {error}.", name=path.name, error=getattr(error, "strerror", None) or error)
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(
            tr("{name} holds no settings; it needs at least 'competition: {{id: NAME}}'.", name=path.name)
        )
    app = checked(App, content, path.name)
    for profile in app.profiles:
        app.config(profile, {})
    return app


def name_of(data: Path) -> str:
    """What pictures of one's own are called: as their folder or table, but as the folder of one that is a train.csv."""
    named_by = data.parent if data.name.lower() == "train.csv" and data.parent.name else data
    return named_by.name if named_by.is_dir() else named_by.stem
