"""A run that was begun, as the command line that goes on with it finds it: its own competition and settings.

Nothing is drawn, downloaded or decoded before what lies there is known to be the run that is meant.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from protocol.errors import UserError
from protocol.language import tr
from protocol.strict import ConfigError, checked
from recipe.app import App, Competition
from recipe.config import Config
from recipe.runs.folder import read_about
from recipe.runs.same_run import check_same_run

ITS_OWN = "of the run"  # the name of its only profile


def begun(folder: Path, otherwise: Callable[[], Competition]) -> App:
    """What the run in a folder was begun with, in the form of an app.yaml.

    Args:
        otherwise: gives the competition of a run that was begun before runs wrote theirs down.

    Raises:
        ConfigError: there is no run, or run.json is damaged.
    """
    if not (folder / "run.json").is_file():
        raise ConfigError(
            tr("--resume: {folder} holds no run to go on with; leave --resume out to begin one.", folder=folder)
        )
    try:
        about = read_about(folder)
        settings, entry = dict(about["config"]), about.get("competition")
    except (UserError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            tr(
                "--resume: {folder} is damaged ({error}); leave --resume out to begin anew beside it.",
                folder=folder / "run.json",
                error=error,
            )
        ) from None
    competition = checked(Competition, entry, f"{folder.name}/run.json, competition") if entry else otherwise()
    checked(Config, settings, f"{folder.name}/run.json, config")
    return App(competition=competition, recipe={}, profiles={ITS_OWN: settings})


def source_of(folder: Path) -> Path | None:
    """Where the run found its pictures, while they lie there."""
    source = Path(read_about(folder).get("source") or "")
    return source if source.exists() and str(source) != "." else None


def check_named(folder: Path, own: App, named: Competition, config: Config, anyway: bool) -> None:
    """Refuses what the command line names anew and the run in `folder` was not begun with.

    Raises:
        ConfigError: another competition, other columns, or settings that a run cannot go on under.
    """
    there, here = own.competition, named
    for what in ("id", "columns", "folds_csv"):
        if (was := getattr(there, what)) != (now := getattr(here, what)):
            raise ConfigError(
                tr(
                    "--resume: the run in {folder} is of the competition {competition!r} and was begun with {what}: "
                    "{then} (now {now}). Leave out what names another, or leave --resume out.",
                    folder=folder,
                    competition=there.id,
                    what=what,
                    then=_short(was),
                    now=_short(now),
                )
            )
    about = read_about(folder)
    check_same_run(folder, about, about | {"config": config.model_dump()}, anyway)


def _short(value: Any) -> str:
    parts = dict(value) if isinstance(value, BaseModel) else {}
    return ", ".join(f"{key} {text!r}" for key, text in parts.items() if text) if parts else repr(value)
