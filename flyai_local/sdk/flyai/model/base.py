"""The base class of a 1.x submission's model."""

import shutil
from pathlib import Path

from flyai.project import project_path


class Base:
    """What a 1.x submission's `Model(dataset)` fills in; everything is optional."""

    def predict(self, **data):
        """Answer one row, given its input columns by keyword."""

    def predict_all(self, datas):
        """Answer a list of rows (dicts of input columns): a list of labels, or of dicts with `label`."""

    def save_model(self, network, path, name=None, overwrite=False):
        """Prepare the folder; how to save is the submission's own."""
        self.check(path, overwrite)

    def check(self, path, overwrite=False):
        """Make the folder `path`, emptied first with `overwrite`; the project itself is never emptied.

        Raises:
            ValueError: `overwrite` is asked for on a folder that holds the project.
        """
        folder = Path(path)
        if overwrite and folder.is_dir():
            if project_path().resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{path} holds the project and is not emptied; save into a folder such as MODEL_PATH")
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        folder.mkdir(parents=True, exist_ok=True)
