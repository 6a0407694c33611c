"""The folder of the data, and the rows of a 1.x competition in their two parts."""

import functools
import random

from flyai.project import project_path
from flyai.utils.yaml_helper import Yaml

# Strings: submissions import them by name and add to them.
DATA_PATH = str(project_path("data", "input"))
MODEL_PATH = str(project_path("data", "output", "model"))


class Base:
    """Two pandas tables, `data` (train) and `test` (validation), handed out as lists of dicts of app.yaml's columns.

    Submissions read and replace both tables; every answer is taken from what they hold at that moment.
    """

    @functools.cached_property
    def data(self):
        """Return the training table; a source says where it comes from."""
        raise NotImplementedError(f"{type(self).__name__} has no training table")

    @functools.cached_property
    def test(self):
        """Return the validation table; a source says where it comes from."""
        raise NotImplementedError(f"{type(self).__name__} has no validation table")

    @property
    def val(self):
        """Return the validation table under its other name."""
        return self.test

    @property
    def source(self):
        """Return this object: `dataset.db.source.data` is the same for a `Source` and for a table given directly."""
        return self

    c = source

    def get_train_length(self):
        """Return the number of training rows."""
        return len(self.data)

    def get_validation_length(self):
        """Return the number of validation rows."""
        return len(self.test)

    def next_train_batch(self, size):
        """Return (inputs, outputs) of the next `size` training rows: shuffled once per round, endless."""
        return _columns(self.data.iloc[self._take("train", size, len(self.data))])

    def next_validation_batch(self, size):
        """Return (inputs, outputs) of the next `size` validation rows: in the order of the table, endless."""
        return _columns(self.test.iloc[self._take("validation", size, len(self.test))])

    def next_batch(self, size, test_size):
        """Return (train inputs, train outputs, validation inputs, validation outputs)."""
        return *self.next_train_batch(size), *self.next_validation_batch(test_size)

    def get_all_data(self):
        """Return every row of both parts, in the order of the tables."""
        return *_columns(self.data), *_columns(self.test)

    def get_validation_data(self):
        """Return every validation row."""
        return _columns(self.test)

    def _take(self, part, size, length):
        """Return the next `size` row numbers of a part; all of them where it has fewer."""
        rounds = self.__dict__.setdefault("_rounds", {})
        if part not in rounds or rounds[part].length != length:
            rounds[part] = _Rounds(length, shuffled=part == "train")
        return rounds[part].take(min(size, length))


class _Rounds:
    """An endless walk over row numbers: every round passes each of them once, shuffled by a seed or in order."""

    def __init__(self, length, shuffled):
        self.length = length
        self.shuffled = shuffled
        self.random = random.Random(0)
        self.waiting = []

    def take(self, size):
        while len(self.waiting) < size:
            order = list(range(self.length))
            if self.shuffled:
                self.random.shuffle(order)
            self.waiting += order
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        return taken


def _columns(table):
    """Split a table by app.yaml into two lists of dicts, inputs and outputs; values are Python's own types."""
    card = Yaml()
    return tuple(_rows(table, columns) for columns in (card.get_input_names(), card.get_output_names()))


def _rows(table, columns):
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise KeyError(f"app.yaml names the column {missing[0]!r}; the table has {', '.join(map(str, table.columns))}")
    return table[columns].to_dict("records")
