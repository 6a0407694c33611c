"""Finds the data of a 1.x competition."""

import functools
import importlib

from flyai.data_helper import fetch
from flyai.project import project_path, say
from flyai.source.csv_source import Csv
from flyai.utils.yaml_helper import Yaml


class Source:
    """The rows of the project's competition: train.csv and test.csv of data/input, otherwise dev.csv for both.

    Nothing is looked for before rows are asked for: `Model(Dataset())` works where no data lies, as in an evaluation.
    """

    def __init__(self, custom_source=None):
        if custom_source is not None:
            self.source = custom_source

    @functools.cached_property
    def source(self):
        """Return the object that holds the tables; it may be replaced."""
        found = _tables() or (_fetch() and _tables())
        if not found:
            folder = project_path("data", "input")
            raise FileNotFoundError(f"no data: put train.csv and test.csv, or dev.csv, into {folder}")
        return Csv(dict(zip(("train_url", "test_url"), found, strict=True)))

    def create_instance(self, module_name, class_name, *args, **named):
        """Return a new object of a class that is given by names."""
        return getattr(importlib.import_module(module_name), class_name)(*args, **named)

    def __getattr__(self, name):
        """Pass every question about rows on to the object that holds the tables."""
        if name.startswith("__") or name == "source":
            raise AttributeError(name)
        return getattr(self.source, name)


def _tables():
    """Return the training and the validation file, or None; a file that stands alone serves as both."""
    train, test, dev = (project_path("data", "input", name) for name in ("train.csv", "test.csv", "dev.csv"))
    if train.is_file():
        return str(train), str(test if test.is_file() else train)
    return (str(dev), str(dev)) if dev.is_file() else None


def _fetch():
    """Bring the competition that app.yaml names; return whether it came."""
    competition_id = Yaml().get_data_id()
    if competition_id is None:
        return False
    outcome, done = fetch(str(competition_id), project_path("data", "input"))
    say(outcome)
    return done
