"""The CSV files of a 1.x competition."""

import functools

from flyai.processor.download import check_download
from flyai.project import project_path
from flyai.source.base import Base
from flyai.utils import read_data


class Csv(Base):
    """The tables of two CSV files, each read when it is first needed."""

    def __init__(self, config, line=""):
        """Take ``{"train_url": ..., "test_url": ...}``: paths, alone or under data/input; `line` is ignored."""
        self.config = config

    @functools.cached_property
    def data(self):
        """Return the training table; it may be replaced."""
        return _read(self.config["train_url"])

    @functools.cached_property
    def test(self):
        """Return the validation table; it may be replaced."""
        return _read(self.config["test_url"])

    def get_evaluate_data(self, path):
        """Return (inputs, outputs) of every row of another CSV file."""
        return Csv({"train_url": path, "test_url": path}).get_validation_data()


def _read(url):
    """Read a CSV; picture paths written on Windows (``jpg\\1.jpg``) are turned where only that finds the picture."""
    table = read_data.read(check_download(url))
    for column in table.columns:
        if table[column].map(lambda value: isinstance(value, str) and "\\" in value).any():
            table[column] = table[column].map(_found_on_this_system)
    return table


def _found_on_this_system(value):
    """Return `value`, with slashes for backslashes where it then names a file under data/input."""
    if not isinstance(value, str) or "\\" not in value:
        return value
    turned = value.replace("\\", "/")
    folder = project_path("data", "input")
    return turned if (folder / turned).exists() and not (folder / value).exists() else value
