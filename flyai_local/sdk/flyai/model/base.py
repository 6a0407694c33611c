"""The base class of a 1.x submission's model."""

import shutil
from pathlib import Path

from flyai.project import project_path
from flyai.utils import remote_helper


class Base:
    """What a 1.x submission's `Model(dataset)` fills in; everything is optional."""

    def predict(self, **data):
        """Answer one row, given its input columns by keyword."""

    def predict_all(self, datas):
        """Answer a list of rows (dicts of input columns): a list of labels, or of dicts with `label`."""

    def save_model(self, network, path, name=None, overwrite=False):
        """Prepare the folder; how to save is the submission's own."""
        self.check(path, overwrite)

    def get_remote_data(self, url, unzip=True):
        """Return the path of a pretrained file, as `flyai.utils.remote_helper.get_remote_data` does."""
        return remote_helper.get_remote_data(url, unzip)

    def get_remote_date(self, url, unzip=True):
        """Return the same: submissions ask their Model for a file by the misspelt name."""
        return remote_helper.get_remote_data(url, unzip)

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
