"""The platform's paid GPU jobs, another product: a stub that says so.

What would only send files away says that nothing was sent and goes on, so that a training script runs through.
"""

from pathlib import Path

from flyai.project import say


def submit(train_name="", code_path=None, cmd=None, **options):
    """Say that no job was submitted."""
    say(f"train_helper.submit({train_name!r}): GPU jobs do not exist here; run the command yourself: {cmd}")


def upload_data(data_file="", overwrite=False, dir_name=None, **options):
    """Say that nothing was uploaded."""
    say(f"train_helper.upload_data({data_file!r}): there is no data disk here; nothing was uploaded.")


def sava_train_model(model_file="", dir_name=None, overwrite=False, **options):
    """Say that nothing was uploaded; the misspelt name is the platform's."""
    say(f"train_helper.sava_train_model({model_file!r}): there is no data disk here; nothing was uploaded.")


def download(filename="", decompression=False, **options):
    """Return the path of a file that is already there, relative to the working directory.

    Raises:
        FileNotFoundError: it is not there, and nothing is downloaded.
    """
    if not Path(filename).exists():
        raise FileNotFoundError(f"train_helper.download: {filename!r} is not there, and there is no data disk here")
    return str(filename)
