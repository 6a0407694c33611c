# PYTHON_ARGCOMPLETE_OK
"""Trains the submission.

    python main.py -e 5 -b 32                     on the competition that app.yaml names
    python main.py --competition Digits -e 3      on another
    python main.py --data pictures                on a folder per class, or a CSV
    python main.py --resume                       goes on with a stopped run

Then `python -m recipe predict PICTURES --out submission.csv`, or `Predictor().predict(path)` in prediction.py.
"""

from path import DATA_PATH, MODEL_PATH, ROOT  # first: it makes `flyai` importable

from flyai.data_helper import DataHelper
from flyai.framework import FlyAI
from flyai.utils import remote_helper
from flyai.utils.log_helper import train_log

from recipe.cli import Options, run_main


class Main(FlyAI):
    """The training job, in the platform's three steps."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.competition = options.app.competition

    def download_data(self) -> None:
        """Fetches train.csv and the pictures into data/input/<id>."""
        if self.options.data is None:
            DataHelper().download_from_ids(self.competition.id)

    def deal_with_data(self) -> None:
        """Reads and checks the table, builds the network, decodes every picture once."""
        from recipe.prepare import prepare

        folder = self.options.data or DATA_PATH / self.competition.id
        self.prepared = prepare(self.options, folder, remote_helper.get_remote_data)

    def train(self) -> None:
        """Trains the folds and writes checkpoints, out-of-fold predictions and scores to MODEL_PATH."""
        if self.options.on:
            from recipe.training.tasks.folds import train_elsewhere

            train_elsewhere(self.prepared, self.options, self.options.output or MODEL_PATH, on_epoch=self.curves)
            return
        from recipe.train import train

        train(self.prepared, self.options, self.options.output or MODEL_PATH, on_epoch=self.curves)

    @staticmethod
    def curves(log) -> None:
        """One point of the platform's live curves."""
        train_log(train_loss=log.train_loss, val_loss=log.valid_loss, val_acc=log.valid_score)


if __name__ == "__main__":
    run_main(Main, ROOT / "app.yaml", MODEL_PATH)
